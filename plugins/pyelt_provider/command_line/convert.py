"""`pyelt convert`: writes a PyELT program as a project of YAML files that gives the identical plan."""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pyelt_provider.config.build_pipeline import Project, build_pipeline
from pyelt_provider.config.python_project import with_program
from pyelt_provider.config.reading import read_pipeline, read_project
from pyelt_provider.config.spots import Problems, Spot
from pyelt_provider.config.yaml_text import Document
from pyelt_provider.errors import PyeltError
from pyelt_provider.model.pipeline import Pipeline
from pyelt_provider.planning.plan import build_plans
from pyelt_provider.pyelt_api.conversion import Conversion, converted


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "convert",
        help="write a PyELT program as YAML files",
        description="Write what a PyELT program registers as a project of YAML files. It gives the identical plan, which is checked "
        "before anything is written. With --pipe only that pipe moves over: its file goes into the program's own "
        "project folder, and counts before what the program says of it.",
        epilog="examples: pyelt convert etl.run_clinic:build --to configs/clinic; pyelt convert configs/clinic --pipe his",
    )
    parser.add_argument(
        "program", metavar="PROGRAM", help="package.module:function, package.module, or a project folder with python:"
    )
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="the new project's folder")
    parser.add_argument(
        "--python-path", type=Path, default=Path(), metavar="FOLDER", help="where the packages of the program are (.)"
    )
    parser.add_argument("--pipe", metavar="NAME", help="convert only this pipe, inside the program's project folder")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Convert; returns 0, or raises PyeltError, and then nothing was written."""
    folder = Path(arguments.program)
    if arguments.pipe is not None and (not folder.is_dir() or arguments.to is not None):
        raise PyeltError("--pipe moves a pipe inside a project folder: pyelt convert FOLDER --pipe NAME, without --to")
    if arguments.pipe is None and arguments.to is None:
        raise PyeltError("where shall the files go? add --to FOLDER, or --pipe NAME for one pipe")
    target: Path = arguments.to.resolve() if arguments.to is not None else folder.resolve()
    problems = Problems()
    project = _project(arguments, folder, target, problems)
    pipeline = build_pipeline(project, problems)
    if arguments.pipe is not None:
        _check_pipe(project, arguments.pipe)
    conversion = converted(project, pipeline, target, arguments.pipe)
    taken = [name for name in conversion.files if (target / name).exists()]
    if taken or (arguments.to is not None and target.exists() and any(target.iterdir())):
        what = f"{target / taken[0]} is there already" if taken else f"the folder {target} is not empty"
        raise PyeltError(f"{what}; nothing was written: name another folder, or move it away")
    target.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, so that paths which are written relative to it lead to the same places.
    draft = Path(tempfile.mkdtemp(prefix=".pyelt-convert-", dir=target.parent))
    try:
        draft.chmod(0o755)
        if arguments.pipe is not None:
            _copy_config(folder, draft)
        _write(conversion.files, draft)
        _copy_beside(project, conversion, draft)
        environment = {**os.environ, **conversion.secrets}
        differing = _different(pipeline, read_pipeline(draft, environment))
        if differing:
            shown = ", ".join(differing[:5])
            raise PyeltError(f"the YAML files would not give the same plan ({shown} differ), so nothing was written")
        if arguments.pipe is not None:
            _write(conversion.files, target)
        else:
            if target.exists():
                target.rmdir()
            draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    for name in conversion.files:
        print(f"wrote {Path(os.path.relpath(target)) / name}")
    for note in conversion.notes:
        print(f"note: {note}")
    print("the plan is the same")
    return 0


def _different(before: Pipeline, after: Pipeline) -> list[str]:
    """Return the ids of the DAGs and stages that are not the same in two pipelines; empty when the plans are identical."""
    moved = replace(after, **{name: getattr(before, name) for name in ("data_root", "transfer_path", "project_folder")})
    one, other = (
        {plan.dag_id: plan.fingerprint for plan in build_plans(pipeline)}
        | {f"{plan.dag_id}: {stage.id}": stage.fingerprint for plan in build_plans(pipeline) for stage in plan.stages}
        for pipeline in (before, moved)
    )
    found = [name for name in {**one, **other} if one.get(name) != other.get(name)]
    return found or ([] if _settings(before) == _settings(moved) else ["the pipeline's settings"])


def _settings(pipeline: Pipeline) -> Pipeline:
    return replace(pipeline, pipes=(), domains=(), datamarts=(), functions=(), project_folder="")


def _project(arguments: argparse.Namespace, folder: Path, target: Path, problems: Problems) -> Project:
    if folder.is_dir():
        project = read_project(folder, os.environ)
        if project.pipeline is None or "python" not in project.pipeline.data:
            raise PyeltError(f"{folder} has no program: its pipeline.yaml does not say python:, so it is YAML already")
        return project
    if os.sep in arguments.program:
        raise PyeltError(f"there is no folder {folder}; name a project folder, or package.module:function")
    root = arguments.python_path.resolve()
    document = Document("the command line", {"python": arguments.program}, Spot(1))
    bare = Project(
        name=target.name,
        pipeline=document,
        domains=[],
        pipes=[],
        datamarts=[],
        functions=[],
        folder=root,
        environment=os.environ,
    )
    return with_program(bare, problems)


def _check_pipe(project: Project, name: str) -> None:
    for named in project.pipes:
        if named.name == name and named.document is not None:
            if named.document.file.endswith((".yaml", ".yml")):
                raise PyeltError(f"the pipe {name} stands in {named.document.file} already")
            return
    raise PyeltError(f"the program has no pipe {name!r}; it has: {', '.join(named.name for named in project.pipes)}")


def _write(files: Mapping[str, str], folder: Path) -> None:
    """Write each file whole or not at all."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.partial")
        try:
            partial.write_text(text, encoding="utf-8")
            partial.rename(path)
        finally:
            partial.unlink(missing_ok=True)


def _copy_config(folder: Path, draft: Path) -> None:
    """Copy what a project is read from; deliveries and databases that lie in the folder stay where they are."""
    wanted = (".yaml", ".yml", ".sql", ".py")
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in wanted and "__pycache__" not in path.parts:
            copy = draft / path.relative_to(folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)


def _copy_beside(project: Project, conversion: Conversion, draft: Path) -> None:
    """Copy the files that pipes of YAML name beside them: hooks and extra SQL."""
    if project.folder is None:
        return
    for named in project.pipes:
        data = named.document.data if named.document is not None else {}
        names = [str(entry.get("file")) for entry in data.get("extra_sql", ()) if "file" in entry]
        hooks = (*data.get("before_sor", ()), *data.get("after_sor", ()))
        names += [str(target).rpartition(":")[0] for target in hooks if ".py:" in str(target)]
        for name in names:
            source = project.folder / name
            if name not in conversion.files and source.is_file() and not (draft / name).exists():
                (draft / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, draft / name)
