"""Which files a project folder has: where a project begins, its domains, its SQL files, and files that nobody reads."""

from __future__ import annotations

from pathlib import Path

from pyelt_provider.config.build_pipeline import NamedDocument
from pyelt_provider.config.datamarts import SqlFile
from pyelt_provider.config.spots import Problems, nearest
from pyelt_provider.config.yaml_text import read_yaml
from pyelt_provider.errors import Problem

PIPELINE_FILES = ("pipeline.yaml", "pipeline.yml")
PYTHON_FILES = ("config.py", "configs.py")


def find_projects(root: Path) -> list[Path]:
    """Return the project folders at or directly below `root`, sorted by name; a file in a project stands for it.

    Hidden folders are somebody's drafts.
    """
    root = Path(root)
    if root.is_file():
        root = root.parent
        while not is_project(root) and root.name in ("pipes", "datamarts", "functions"):
            root = root.parent
    if is_project(root):
        return [root]
    if not root.is_dir():
        return []
    folders = (folder for folder in sorted(root.iterdir()) if folder.is_dir() and not folder.name.startswith("."))
    return [folder for folder in folders if is_project(folder)]


def is_project(folder: Path) -> bool:
    """Say whether the folder holds a project's first file."""
    return first_of(folder, PIPELINE_FILES + PYTHON_FILES) is not None


def read_domains(folder: Path, problems: Problems) -> list[NamedDocument]:
    """Return domain.yaml and every domain_<schema>.yaml; the name is the schema, empty for domain.yaml."""
    files = [path for path in yaml_files(folder) if path.stem == "domain" or path.stem.startswith("domain_")]
    return [
        NamedDocument(path.stem.removeprefix("domain").removeprefix("_"), read_yaml(path, path.name, problems))
        for path in files
    ]


def sql_files(folder: Path, name: str, problems: Problems) -> list[SqlFile]:
    """Return the SQL files of a subfolder, sorted by name."""
    found = []
    for path in sorted((folder / name).glob("*.sql")):
        file = f"{name}/{path.name}"
        try:
            text = path.read_text("utf-8-sig")
            if "\x00" in text:
                line = text.count("\n", 0, text.index("\x00")) + 1
                problems.add(Problem(file, line, "", "the file has a NUL character in it", "leave it out"))
                continue
            found.append(SqlFile(file, path.stem, text))
        except (OSError, UnicodeDecodeError):
            problems.add(
                Problem(file, 1, "", "the file cannot be read as UTF-8 text", "check permissions and encoding")
            )
    return found


def first_of(folder: Path, names: tuple[str, ...]) -> Path | None:
    """Return the first of the names that is a file of the folder, None when none is."""
    return next((folder / name for name in names if (folder / name).is_file()), None)


def yaml_files(folder: Path) -> list[Path]:
    """Return the YAML files of a folder, sorted by name; none when it does not exist."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix in (".yaml", ".yml") and path.is_file())


def check_strays(folder: Path, problems: Problems) -> None:
    """Report YAML files and SQL files which nobody reads because of their name or place."""
    for path in yaml_files(folder):
        if path.name not in PIPELINE_FILES and path.stem != "domain" and not path.stem.startswith("domain_"):
            known = ["pipeline.yaml", "domain.yaml", "domain_<schema>.yaml"]
            problems.add(Problem(path.name, 1, "", "nothing reads a file of this name", nearest(path.name, known)))
    known = ["pipes", "datamarts", "functions"]
    for path in sorted(folder.iterdir()):
        near = nearest(path.name, known)
        if path.is_dir() and path.name not in known and near.startswith("did") and _has_config_files(path):
            problems.add(Problem(path.name, 1, "", "nothing reads a folder of this name", near))


def _has_config_files(folder: Path) -> bool:
    """Say whether a folder holds files that somebody may have meant for us; deliveries lie in folders like `data`."""
    return any(path.suffix in (".yaml", ".yml", ".sql") for path in folder.iterdir())
