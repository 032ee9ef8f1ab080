"""The folder of one migration: files a team keeps in git, and `.rehouse/` which stays on the machine."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from rehouse.errors import UserError
from rehouse.knowledge.load import Layout, load_layout
from rehouse.model.durable import write_text

CONFIG = "rehouse.yaml"
SECRET_NAMES = ("token", "client_secret", "private_key", "password")
"""Settings of a connection that never stand in a file: they come from the environment or the OS keyring."""


class SourceConfig(BaseModel):
    """Where the export lies. `path` is a folder or a workbook, absolute or relative to the migration's folder."""

    model_config = ConfigDict(extra="forbid")
    platform: str
    path: str = ""
    control_totals: str = ""


class TargetConfig(BaseModel):
    """How to reach the target. `settings` are the connector's own, without secrets."""

    model_config = ConfigDict(extra="forbid")
    platform: str
    settings: dict[str, Any] = Field(default_factory=dict)


class Config(BaseModel):
    """`rehouse.yaml`."""

    model_config = ConfigDict(extra="forbid")
    version: Literal[1] = 1
    name: str
    source: SourceConfig
    target: TargetConfig
    layout: dict[str, Any] = Field(default_factory=dict)


class Workspace:
    """Paths and files of one migration. Holds no logic of the workflow."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.private = self.folder / ".rehouse"

    @classmethod
    def create(cls, folder: Path, source: str, target: str) -> Workspace:
        """Make the folder of a new migration. Refuses a folder that already holds one."""
        workspace = cls(folder)
        if workspace.config_path.exists():
            raise UserError(f"{folder} already holds a migration", hint="choose another name, or work in that folder")
        workspace.folder.mkdir(parents=True, exist_ok=True)
        config = Config(
            name=workspace.folder.name,
            source=SourceConfig(platform=source),
            target=TargetConfig(platform=target),
        )
        workspace.save(config)
        write_text(workspace.folder / ".gitignore", ".rehouse/\n")
        return workspace

    @classmethod
    def find(cls, folder: Path) -> Workspace:
        """The migration in this folder or one above it."""
        for candidate in (folder.resolve(), *folder.resolve().parents):
            if (candidate / CONFIG).is_file():
                return cls(candidate)
        raise UserError(
            f"{folder} is no migration folder (no {CONFIG} here or above)",
            hint="make one with: rehouse new NAME --from SOURCE --to TARGET, or pass --in FOLDER",
        )

    @property
    def config_path(self) -> Path:
        return self.folder / CONFIG

    @property
    def mapping(self) -> Path:
        return self.folder / "mapping"

    @property
    def decisions(self) -> Path:
        return self.folder / "decisions.yaml"

    @property
    def plans(self) -> Path:
        return self.folder / "plans"

    @property
    def staging(self) -> Path:
        return self.private / "staging"

    @property
    def work(self) -> Path:
        return self.private / "work"

    @property
    def reports(self) -> Path:
        return self.private / "reports"

    @property
    def ledger(self) -> Path:
        return self.private / "ledger"

    def load(self) -> Config:
        """Read `rehouse.yaml`; every fault names its key."""
        try:
            data = YAML(typ="safe").load(self.config_path.read_text(encoding="utf-8"))
            return Config.model_validate(data)
        except (YAMLError, ValidationError) as error:
            raise UserError(
                f"{self.config_path} cannot be read: {error}", hint="correct the key named above"
            ) from error

    def save(self, config: Config) -> None:
        """Write `rehouse.yaml`. Refuses to write a secret into it."""
        found = [n for n in SECRET_NAMES if n in config.target.settings]
        if found:
            raise UserError(
                f"{', '.join(found)} would stand in {CONFIG}", hint="secrets belong in the environment or the keyring"
            )
        yaml = YAML()
        yaml.width = 120
        out = io.StringIO()
        yaml.dump(config.model_dump(exclude_defaults=False), out)
        write_text(self.config_path, "# This migration. Holds no secrets; keep it in git.\n" + out.getvalue())

    def layout(self) -> Layout:
        """The source platform's layout with this migration's own changes."""
        config = self.load()
        layout = load_layout(config.source.platform)
        return layout.overridden(config.layout) if config.layout else layout

    def source_path(self) -> Path:
        """The export. Raises when none is connected yet."""
        config = self.load()
        if not config.source.path:
            raise UserError("no source is connected", hint="rehouse connect source PATH-OF-THE-EXPORT")
        return (self.folder / config.source.path).resolve()

    def control_totals(self) -> Path | None:
        named = self.load().source.control_totals
        return (self.folder / named).resolve() if named else None

    def target_settings(self) -> dict[str, Any]:
        """The connector's settings with secrets from the environment, else from the OS keyring."""
        config = self.load()
        if not config.target.settings:
            raise UserError(
                "no target is connected",
                hint="rehouse connect target --url URL (the token comes from REHOUSE_TARGET_TOKEN or the keyring)",
            )
        return {**config.target.settings, **self._secrets(config)}

    def _secrets(self, config: Config) -> dict[str, str]:
        secrets = {}
        for name in SECRET_NAMES:
            value = os.environ.get(f"REHOUSE_TARGET_{name.upper()}") or _from_keyring(config, name)
            if value:
                secrets[name] = value
        return secrets

    def keep_secrets(self) -> None:
        """Put the secrets of the environment into the OS keyring. Raises when there is no keyring."""
        import keyring
        from keyring.errors import KeyringError

        config = self.load()
        try:
            for name, value in self._secrets(config).items():
                keyring.set_password(_service(config), name, value)
        except KeyringError as error:
            raise UserError(
                f"the OS keyring cannot be used: {error}",
                hint="set REHOUSE_TARGET_TOKEN (or _CLIENT_SECRET, _PRIVATE_KEY) in the environment instead",
            ) from error


def _service(config: Config) -> str:
    return f"rehouse:{config.target.platform}:{config.target.settings.get('url', config.name)}"


def _from_keyring(config: Config, name: str) -> str:
    import keyring
    from keyring.errors import KeyringError

    try:
        return keyring.get_password(_service(config), name) or ""
    except KeyringError:
        return ""
