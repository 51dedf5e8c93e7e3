"""`docker build` and `docker push` where there is no Docker: the same words, done by buildah.

It builds from the Dockerfile that is named, on the base that the local cluster's images have; an
image of the same content is taken from the cache. Other words are refused.
"""

import argparse
import sys
from pathlib import Path

from scripts.cluster import images


def main() -> int:
    reader = argparse.ArgumentParser(prog="docker")
    verbs = reader.add_subparsers(dest="verb", required=True)
    build = verbs.add_parser("build")
    build.add_argument("-f", "--file", type=Path, required=True)
    build.add_argument("-t", "--tag", required=True)
    build.add_argument("context", type=Path)
    verbs.add_parser("push").add_argument("tag")
    asked = reader.parse_args()
    if asked.verb == "build":
        name = asked.file.name.removeprefix("Dockerfile.")
        archive = images.build(images.ours(name, asked.context.resolve()))
        local = images.buildah("pull", "--quiet", f"docker-archive:{archive}").split()[-1]
        images.buildah("tag", local, asked.tag)
    else:
        try:
            images.buildah(
                *("push", "--quiet", "--tls-verify=false", "--format", "oci"),
                *(asked.tag, f"docker://{asked.tag}"),
            )
        finally:
            images.buildah("rmi", "--force", asked.tag)
    return 0


if __name__ == "__main__":
    sys.exit(main())
