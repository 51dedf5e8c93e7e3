"""What the cluster does to the host's network, and how it is taken back: interfaces, iptables,
sysctls.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from scripts.cluster.paths import STATE
from scripts.cluster.shell import CommandFailed, run

BEFORE = STATE / "network-before.json"
SYSCTLS = (
    "net/ipv4/ip_forward",
    "net/ipv4/conf/all/route_localnet",
    "net/netfilter/nf_conntrack_max",
    "net/netfilter/nf_conntrack_tcp_be_liberal",
)
OUR_CHAIN = re.compile(r"^(KUBE|CNI)-")
POD_NETWORK = "10.244.0.0/16"


def node_address() -> str:
    """This machine's own address, which pods and API server reach each other by; raises
    CommandFailed where there is none.
    """
    for line in run(["ip", "-4", "-o", "addr", "show", "scope", "global"]).splitlines():
        fields = line.split()
        if not fields[1].startswith(("veth", "docker", "cni")):
            return fields[3].split("/")[0]
    raise CommandFailed(
        "this machine has no IPv4 address but loopback: give an interface one, for example `ip addr"
        " add 192.0.2.2/24 dev eth0`"
    )


def remember() -> None:
    """Keep what the network is before the cluster; kept only once, so that a second `up` does not
    take our own for the host's.
    """
    if BEFORE.exists():
        return
    BEFORE.parent.mkdir(parents=True, exist_ok=True)
    sysctls = {name: value for name in SYSCTLS if (value := _sysctl(name)) is not None}
    BEFORE.write_text(
        json.dumps({"sysctls": sysctls, "interfaces": interfaces(), "policies": _policies()})
    )


def enable_forwarding() -> None:
    """Let this machine route between pods."""
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def restore() -> None:
    """Take back chains, rules, interfaces and sysctls of ours."""
    for table, family in (
        (t, f) for f in ("iptables", "ip6tables") for t in ("nat", "filter", "mangle")
    ):
        _clean_table(family, table)
    before: dict[str, Any] = {"sysctls": {}, "interfaces": interfaces(), "policies": {}}
    if BEFORE.exists():
        before = json.loads(BEFORE.read_text())
    for name in set(interfaces()) - set(before["interfaces"]):
        if name.startswith("veth"):
            run(["ip", "link", "delete", name])
    for name, value in before["sysctls"].items():
        Path("/proc/sys", name).write_text(value)
    for chain, policy in before["policies"].items():
        run(["iptables", "-P", chain, policy])
    BEFORE.unlink(missing_ok=True)


def interfaces() -> list[str]:
    """Names of the network interfaces."""
    return sorted(p.name for p in Path("/sys/class/net").iterdir() if p.is_symlink())


def our_rules(saved: str) -> tuple[list[str], list[str]]:
    """From the output of iptables-save for one table: the rules that only lead to chains of ours,
    and those chains.
    """
    lines = saved.splitlines()
    chains = [line[1:].split()[0] for line in lines if line.startswith(":")]
    ours = [c for c in chains if OUR_CHAIN.match(c)]
    rules = [
        line
        for line in lines
        if line.startswith("-A ")
        and not OUR_CHAIN.match(line.split()[1])
        and any(f" {jump} {c}" in line for jump in ("-j", "-g") for c in ours)
    ]
    return rules, ours


def leftovers() -> list[str]:
    """Chains and interfaces of ours that are still there."""
    found = [
        f"{family} chain {chain} in table {table}"
        for family in ("iptables", "ip6tables")
        for table in ("nat", "filter", "mangle")
        for chain in our_rules(_save(family, table))[1]
    ]
    return found + [f"interface {name}" for name in interfaces() if name.startswith("veth")]


def _clean_table(family: str, table: str) -> None:
    rules, chains = our_rules(_save(family, table))
    for rule in rules:
        run(["sh", "-c", f"{family} -w -t {table} -D {rule.removeprefix('-A ')}"])
    for verb in ("-F", "-X"):
        for chain in chains:
            run([family, "-w", "-t", table, verb, chain])


def _save(family: str, table: str) -> str:
    try:
        return run([f"{family}-save", "-t", table])
    except (CommandFailed, FileNotFoundError):
        return ""


def _policies() -> dict[str, str]:
    found: dict[str, str] = {}
    for line in _save("iptables", "filter").splitlines():
        if line.startswith(":"):
            chain, policy = line[1:].split()[:2]
            if policy != "-":
                found[chain] = policy
    return found


def _sysctl(name: str) -> str | None:
    path = Path("/proc/sys", name)
    return path.read_text().strip() if path.exists() else None


def mounts(below: Iterable[Path]) -> list[str]:
    """Mount points below the given folders, deepest first."""
    roots = tuple(str(p) for p in below)
    points = [
        line.split()[1].replace("\\040", " ")
        for line in Path("/proc/self/mounts").read_text().splitlines()
    ]
    return sorted((p for p in points if p.startswith(roots)), key=len, reverse=True)
