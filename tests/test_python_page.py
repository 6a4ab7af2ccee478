"""The code of docs/python.md runs as it stands there."""

import re
from pathlib import Path

import jax

import diamond

PAGE = Path("docs/python.md").read_text(encoding="utf-8")
CODE = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


def test_the_page_runs_from_top_to_bottom(tmp_path, capsys) -> None:
    *parts, sketch = CODE
    text = "\n".join(parts).replace("runs/from_python", str(tmp_path / "run"))
    names: dict[str, object] = {}
    exec(compile(text, "docs/python.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "accuracy" in printed
    assert "certified: 2 compiled programs" in printed
    assert set(names["weights"]) == {"stages", "hidden", "head"}
    assert names["diloco"].replicas[0].consistency.outer == diamond.Nesterov()
    assert jax.tree.leaves(names["state"])
    compile(sketch, "docs/python.md", "exec")


def test_links_of_the_documentation_lead_somewhere() -> None:
    for page in [
        Path("README.md"),
        Path("CONTRIBUTING.md"),
        *Path("docs").glob("*.md"),
    ]:
        for target in re.findall(
            r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")
        ):
            if "://" not in target:
                assert (page.parent / target).exists(), (page, target)
