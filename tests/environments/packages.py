"""qwen-vl-utils and hpsv2, installed beside this project, agree with it: what the doctor says there.

python -m tests.environments.packages
"""

from __future__ import annotations

from tests.environments import CONSTRAINTS, DECLARED, ROOT, environment, pip, run

ALONE = ("torchvision==0.28.0", "qwen-vl-utils==0.0.14", "hpsv2==1.2.0", "av")
"""Without what they depend on: torchvision wants a torch with CUDA, hpsv2 a protobuf of years ago."""
COMPARED = ("qwen-vl-utils", "hpsv2")
CODE = f"""{DECLARED}
from gotr1_eval.models.expected_packages import expected_packages
for name, said in expected_packages().items():
    print(name, said, sep=": ")
"""


def main() -> None:
    """Print what the doctor says; ends with status 1 unless every package that can be compared agrees."""
    python = environment(ROOT / ".venv-packages")
    pip(python, "install", "--constraint", str(CONSTRAINTS), str(ROOT), "requests")
    pip(python, "install", "--no-deps", *ALONE)
    said = run(python, "-c", CODE, cwd=ROOT.parent)
    print(said, end="")
    lines = dict(line.split(": ", 1) for line in said.splitlines())
    assert all(", agrees with " in lines[name] for name in COMPARED)


if __name__ == "__main__":
    main()
