"""A newer version is put in the place of the running one, process by process, while runs go.

The newer one is a copy of the tree with another version and one more column: its migration runs first, beside
processes that do not know the column yet.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import subprocess
import sys
from pathlib import Path

from ..copies import copy_of_the_tree
from ..scene import Scene
from .processes import rolling_restart

_numbers = itertools.count(1)
APP = "conversations"
MIGRATION = """from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("{app}", "{before}")]
    operations = [migrations.AddField("run", "{column}", models.IntegerField(null=True))]
"""


async def upgrade(scene: Scene) -> None:
    """Copy, migrate, then a rolling restart onto the copy."""
    old = scene.cluster.nodes[0].tree
    new = await asyncio.to_thread(next_version, old, scene.cluster.folder, next(_numbers))
    while not scene.runs or not all(run.started for run in scene.runs):
        await asyncio.sleep(0.05)
    scene.note(f"migrating to {new.name}")
    await asyncio.to_thread(_migrate, scene, new)
    core = str(new / "packages" / "nexus-core" / "src")
    for node in scene.cluster.nodes:
        node.tree, node.env["PYTHONPATH"] = new, core
    await rolling_restart(scene)


def next_version(old: Path, folder: Path, number: int) -> Path:
    """The tree of the next version, in `folder`."""
    tree = copy_of_the_tree(folder / f"version{number}", old)
    column = f"chaos_{number}"
    models = tree / APP / "models.py"
    text, count = re.subn(
        r"(?m)^(class Run\(.*\):\n)",
        rf"\1    {column} = models.IntegerField(null=True)\n",
        models.read_text(),
    )
    if count != 1:
        raise ValueError("conversations/models.py has no class Run where it is looked for")
    models.write_text(text)
    migrations = tree / APP / "migrations"
    last = sorted(path.stem for path in migrations.glob("[0-9]*.py"))[-1]
    after = migrations / f"{int(last[:4]) + 1:04}_{column}.py"
    after.write_text(MIGRATION.format(app=APP, before=last, column=column))
    version = tree / "packages" / "nexus-core" / "src" / "nexus_core" / "__init__.py"
    version.write_text(f"{version.read_text()}\n__version__ = '99.{number}'\n")
    return tree


def _migrate(scene: Scene, tree: Path) -> None:
    assert scene.cluster.postgres is not None
    env = {**scene.cluster.nodes[0].env, "DATABASE_URL": scene.cluster.postgres.direct, "CHAOS_NODE": ""}
    env["PYTHONPATH"] = str(tree / "packages" / "nexus-core" / "src")
    done = subprocess.run(
        [sys.executable, "manage.py", "migrate", "--noinput"],
        cwd=tree,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the migration failed:\n{done.stderr[-3000:]}")
