"""Takes out of a CycloneDX list what is not installed: `python sbom.py LIST`, with the interpreter
of the environment that is listed.

The lock file has one version for each Python and platform; an image has one of them.
"""

import importlib.metadata
import json
import re
import sys
from pathlib import Path
from typing import Any


def installed() -> set[tuple[str, str]]:
    """Normalised name and version of every distribution here."""
    return {
        (re.sub(r"[-_.]+", "-", d.metadata["Name"]).lower(), d.version)
        for d in importlib.metadata.distributions()
    }


def only(bom: dict[str, Any], there: set[tuple[str, str]]) -> dict[str, Any]:
    """The list without components that are not there, and without what depends on them or is
    depended on.
    """
    kept = [c for c in bom["components"] if (c["name"], c["version"]) in there]
    gone = {c["bom-ref"] for c in bom["components"]} - {c["bom-ref"] for c in kept}
    links = [
        {
            **d,
            **(
                {"dependsOn": [r for r in d["dependsOn"] if r not in gone]}
                if "dependsOn" in d
                else {}
            ),
        }
        for d in bom["dependencies"]
        if d["ref"] not in gone
    ]
    return {**bom, "components": kept, "dependencies": links}


if __name__ == "__main__":
    place = Path(sys.argv[1])
    place.write_text(json.dumps(only(json.loads(place.read_text()), installed()), indent=1))
