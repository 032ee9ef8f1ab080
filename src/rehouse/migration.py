"""One migration: the workflow, its gates and its states. The CLI, the demo and scripts call this and hold no logic."""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rehouse.apply.rollback import roll_back
from rehouse.apply.run import Run
from rehouse.apply.runner import restore_automations, run_plan
from rehouse.apply.undo import Undo, plan_undo
from rehouse.clock import Clock, SystemClock, iso
from rehouse.connectors import open_target
from rehouse.connectors.base import Org, SwitchesAutomations, Target
from rehouse.discover.discovery import Discovery
from rehouse.discover.run import discover
from rehouse.errors import FatalError, GateError, UserError
from rehouse.events import Sink, silent
from rehouse.knowledge.load import load_layout
from rehouse.ledger.events import Decision, RunOpened, Verb
from rehouse.ledger.ledger import Ledger
from rehouse.mapping.load import load_recipe, unused_columns
from rehouse.mapping.schema import Recipe
from rehouse.model.durable import digest_of, file_digest, write_text
from rehouse.plan.binding import bind, differences, match_owners, used_facts
from rehouse.plan.build import OWNERS, PLANNED, Inputs, build_plan, recipe_of
from rehouse.plan.decisions import Approval, Decisions
from rehouse.plan.engine import open_engine, parquet, text
from rehouse.plan.sample import choose_sample
from rehouse.plan.stages import Plan, load_plan
from rehouse.propose.complete import Completed, blueprint_names, complete, copy_blueprint
from rehouse.staging.manifest import Snapshot
from rehouse.staging.snapshot import stage
from rehouse.verify.reconcile import Looking, Reconciled, reconcile
from rehouse.verify.story import tell
from rehouse.workflow import gates
from rehouse.workflow.deciding import Deciding
from rehouse.workflow.lost import quarantined, waiting_owners
from rehouse.workflow.reporting import approved, completion_data, plan_data, rollback_data, sample_data, write_discovery
from rehouse.workflow.status import status_of
from rehouse.workflow.workspace import Workspace

SAMPLE_SIZE = 200


class Migration(Deciding):
    """One migration in its folder. Every verb of the command line is a method here."""

    def __init__(self, workspace: Workspace, *, sink: Sink = silent, clock: Clock | None = None) -> None:
        self.workspace = workspace
        self.sink = sink
        self._read = {}
        self.clock = clock or SystemClock()

    @classmethod
    def new(cls, folder: Path, source: str, target: str, **options: Any) -> Migration:
        """Make the folder of a new migration between two platforms."""
        if f"{source}-{target}" not in blueprint_names():
            raise UserError(
                f"no blueprint is shipped for {source} → {target}",
                hint=f"pairs with a blueprint: {', '.join(blueprint_names())}",
            )
        return cls(Workspace.create(folder, source, target), **options)

    @classmethod
    def open(cls, folder: Path, **options: Any) -> Migration:
        """The migration in this folder or one above it."""
        return cls(Workspace.find(folder), **options)

    # ── connections ───────────────────────────────────────────────────────────────────────────────────

    def connect_source(self, path: Path, control_totals: Path | None = None) -> dict[str, Any]:
        """Remember where the export lies."""
        if not path.exists():
            raise UserError(f"{path} does not exist", hint="name the export's folder or workbook")
        config = self.workspace.load()
        config.source.path = str(path.resolve())
        if control_totals is not None:
            config.source.control_totals = str(control_totals.resolve())
        self.workspace.save(config)
        return {"source": config.source.platform, "path": config.source.path}

    def connect_target(self, settings: Mapping[str, Any], *, keep_secrets: bool = False) -> dict[str, Any]:
        """Remember how to reach the target (no secrets), then prove it by asking who it is."""
        config = self.workspace.load()
        before = dict(config.target.settings)
        config.target.settings = dict(settings)
        self.workspace.save(config)
        try:
            with self.target() as target:
                org = target.org()
        except Exception:
            config.target.settings = before
            self.workspace.save(config)
            raise
        if keep_secrets:
            self.workspace.keep_secrets()
        return {"target": org.platform, "org": org.id, "name": org.name, "user": org.user_name, "test": org.is_test}

    @contextmanager
    def target(self) -> Iterator[Target]:
        """An open connection to the target."""
        config = self.workspace.load()
        target = open_target(config.target.platform, self.workspace.target_settings(), self.sink)
        try:
            yield target
        finally:
            target.close()

    @contextmanager
    def ledger(self, org: Org, *, write: bool = True) -> Iterator[Ledger]:
        """The ledger of one target org. Looking into one that does not exist finds it empty and makes none."""
        folder = self.workspace.ledger / org.id
        if write or folder.is_dir():
            with Ledger.open(folder, self.clock, write=write) as ledger:
                yield ledger
        else:
            with TemporaryDirectory(prefix="rehouse-") as nothing, Ledger.open(Path(nothing), self.clock) as ledger:
                yield ledger

    # ── discover, map, confirm, decide ────────────────────────────────────────────────────────────────

    def discover(self) -> Discovery:
        """Stage the export (immutable), profile it, find its flaws and risks, write the scope and quality reports."""
        layout = self.workspace.layout()
        snapshot = stage(
            self.workspace.source_path(),
            layout,
            self.workspace.staging,
            control_totals=self.workspace.control_totals(),
            sink=self.sink,
        )
        found = discover(snapshot, layout, self.workspace.private / "discovery", sink=self.sink)
        self._remember(snapshot=snapshot.id)
        write_discovery(self.workspace, snapshot, found, iso(self.clock.now()))
        return found

    def discovery(self) -> Discovery:
        """The last discovery."""
        return Discovery.load(self.workspace.private / "discovery")

    def snapshot(self) -> Snapshot:
        """The staged export that the last discovery read."""
        name = self.state().get("snapshot")
        if not name:
            raise UserError("the source has not been discovered", hint="rehouse discover")
        return Snapshot.load(self.workspace.staging / str(name))

    def map(self) -> Completed:
        """Copy the pair's blueprint into `mapping/` and complete it with pipelines, stages and custom columns."""
        config = self.workspace.load()
        copy_blueprint(config.source.platform, config.target.platform, self.workspace.mapping)
        done = complete(self.workspace.mapping, self.snapshot(), self.workspace.layout())
        self.recipe()
        return done

    def recipe(self) -> Recipe:
        """The mapping as it stands in the files; all faults together as `MappingError`."""
        folder = self.workspace.mapping
        if not (folder / "blueprint.yaml").exists():
            raise UserError("there is no mapping yet", hint="rehouse map")
        snapshot = self.snapshot()
        columns = {n: [*(c.name for c in o.columns), "_path", "_bytes", "_md5"] for n, o in snapshot.objects.items()}
        files = [*sorted(folder.glob("*.yaml")), snapshot.path]
        return self._once("recipe", files, lambda: load_recipe(folder, columns))

    def risks(self) -> Sequence[Mapping[str, Any]]:
        return self.discovery().risks

    def decide_owners(self, emails: Sequence[str], to: str, by: str, reason: str) -> dict[str, Any]:
        """Records of these owners go to a user or queue of the target; '' stands for records without an owner.

        Refused for somebody the target does not know or who is not active there.
        """
        with self.target() as target:
            users = target.users()
        wanted = to.strip().lower()
        chosen = [u for u in users if wanted in (u.email.strip().lower(), u.name.strip().lower())]
        if to and not any(u.active for u in chosen):
            active = sorted(u.email or u.name for u in users if u.active)
            state = "is not active there" if chosen else "is no user or queue of the target"
            raise UserError(
                f"{to!r} {state}",
                hint=f"active users and queues: {', '.join(active[:12])}{' …' if active[12:] else ''}",
            )
        return super().decide_owners(emails, to, by, reason)

    def owners(self) -> list[dict[str, Any]]:
        """Source owners with the number of their records and what became of them in the target."""
        emails = self.discovery().owners
        with self.target() as target:
            users = target.users()
        matched = match_owners([*emails, ""], users, self.decisions().owner_of())
        return [
            {
                "email": o.email,
                "status": o.status,
                "user": o.user_name,
                "note": o.note,
                "source": emails.get(o.email, {}).get("status", ""),
                "records": sum(emails.get(o.email, {}).get("records", {}).values()),
            }
            for o in matched
        ]

    # ── plan and sample ───────────────────────────────────────────────────────────────────────────────

    def inputs(self) -> Inputs:
        return Inputs(
            recipe=self.recipe(),
            decisions=self.decisions(),
            snapshot=self.snapshot(),
            layout=self.workspace.layout(),
            work=self.workspace.work,
            clock=self.clock,
        )

    def plan(self) -> tuple[Plan, list[gates.Gate]]:
        """Make a plan: frozen, with its digest. Moves nothing. Returns it with the gates it has to pass."""
        inputs = self.inputs()
        with self.target() as target:
            inputs = replace(inputs, ours=self._ours(target))
            plan, folder = build_plan(inputs, target, self.sink)
            plan.save(self.workspace.plans)
            shut = self._gates(plan, folder, target)
            objects = sorted({c.object for c in plan.consignments})
            automations = target.automations(objects) if isinstance(target, SwitchesAutomations) else []
        self._remember(plan=plan.digest)
        plan_data(self, plan, folder, shut, automations)
        return plan, shut

    def load_plan(self, reference: str = "") -> tuple[Plan, Path]:
        """A saved plan (the newest by default) and the folder of its consignments."""
        wanted = reference or str(self.state().get("plan", ""))
        if not wanted:
            raise UserError("there is no plan yet", hint="rehouse plan")
        plan = load_plan(self.workspace.plans, wanted)
        folder = self.workspace.work / plan.digest[:16]
        if not folder.is_dir():
            raise UserError(f"the consignments of plan {plan.digest[:12]} are not on this machine", hint="rehouse plan")
        return plan, folder

    def sample(self, size: int = SAMPLE_SIZE, by: str = "", reference: str = "") -> Reconciled:
        """Load a stratified sample through the real path, read it back, compare field by field."""
        plan, folder = self.load_plan(reference)
        with self.target() as target:
            self._put_back(plan, folder, target)
            for gate in self._gates(plan, folder, target):
                if gate.name not in ("sample approved", "quarantine within limits"):
                    gate.require()
            self._one_recipe(plan, target, by)
            with open_engine(self.workspace.work / "scratch") as connection:
                only = choose_sample(connection, plan, self.recipe(), folder, size)
            self._run(plan, folder, target, Verb.SAMPLE, by, only=only)
            result = self._reconcile(plan, folder, target, only=only)
        self._remember(
            sample={
                "plan": plan.digest,
                "recipe": plan.recipe,
                "diff": file_digest(result.diff.differences),
                "unexplained": result.diff.unexplained,
            }
        )
        return result

    def approve_sample(self, by: str, reason: str = "") -> Approval:
        """Approve the last sample's diff by name. Refused while it has unexplained differences."""
        last = self.state().get("sample")
        if not isinstance(last, dict):
            raise UserError("no sample has been loaded", hint="rehouse sample")
        if last.get("unexplained"):
            raise GateError(
                "sample approved",
                f"the sample has {last['unexplained']} unexplained differences",
                hint="look at the sample report, correct the mapping, and run rehouse sample again",
            )
        signed = self.signed(by, reason)
        approval = Approval(kind="sample", plan=last["plan"], recipe=last["recipe"], diff=last["diff"], **signed)
        decisions = self.decisions()
        decisions.approvals.append(approval)
        self.save_decisions(decisions)
        approved(self, {"by": approval.by, "at": approval.at})
        return approval

    # ── apply, reconcile, roll back ───────────────────────────────────────────────────────────────────

    def apply(self, reference: str = "", by: str = "") -> str:
        """Load everything the plan says, in its order. Resumes what an earlier call left. Returns the run's id."""
        plan, folder = self.load_plan(reference)
        self._intact(plan, folder)
        with self.target() as target:
            self._put_back(plan, folder, target)
            for gate in self._gates(plan, folder, target):
                gate.require()
            self._one_recipe(plan, target, by)
            return self._run(plan, folder, target, Verb.APPLY, by)

    def reconcile(self, answer_key: Mapping[str, Any] | None = None) -> tuple[Reconciled, dict[str, Any]]:
        """Read everything back, compare 100 %, balance the books, write the completion report."""
        plan, folder = self.load_plan(self._applied())
        with self.target() as target:
            result = self._reconcile(plan, folder, target)
            report = completion_data(self, plan, folder, target, result, answer_key)
        self._remember(reconciled={"plan": plan.digest, "unexplained": result.diff.unexplained})
        return result, report

    def rollback(self, by: str = "", *, plan_only: bool = False, confirm: str = "") -> Undo:
        """Put the target back as it was. With `plan_only` says what that would do and writes nothing."""
        plan, folder = self.load_plan(self._applied())
        with self.target() as target:
            org = target.org()
            if not plan_only and confirm not in (org.name, org.id):
                raise GateError(
                    "rollback confirmed",
                    f"rolling back deletes records in {org.name!r}",
                    hint=f"look at `rehouse rollback --plan`, then repeat with --confirm {json.dumps(org.name)}",
                )
            with self._running(plan, folder, target) as run:
                undo = plan_undo(run) if plan_only else roll_back(run, by)
        rollback_data(self, undo, done=not plan_only)
        return undo

    # ── inside ────────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def _running(self, plan: Plan, folder: Path, target: Target, *, only: Path | None = None) -> Iterator[Run]:
        scratch = self.workspace.work / "scratch"
        with self.ledger(target.org()) as ledger, open_engine(scratch) as connection:
            yield Run(
                plan=plan,
                folder=folder,
                target=target,
                ledger=ledger,
                sink=self.sink,
                connection=connection,
                scratch=scratch,
                files=self._files_root(),
                only=only,
                stop_percent=self.decisions().thresholds_now()["quarantine_percent"],
            )

    def _files_root(self) -> Path:
        source = self.workspace.source_path()
        return source if source.is_dir() else source.parent

    def _run(self, plan: Plan, folder: Path, target: Target, verb: Verb, by: str, *, only: Path | None = None) -> str:
        org = target.org()
        since = dict(self.state().get("since", {}))
        if org.id not in since:
            self._remember(since={**since, org.id: iso(org.now)})
        with self._running(plan, folder, target, only=only) as run:
            run.ledger.append(Decision({"decisions": digest_of(self.decisions().model_dump()), "plan": plan.digest}))
            done = run_plan(run, verb, by or getpass.getuser())
        used = target.calls_used()
        self._remember(calls={k: self.calls().get(k, 0) + v for k, v in used.items()})
        return done

    def _reconcile(self, plan: Plan, folder: Path, target: Target, *, only: Path | None = None) -> Reconciled:
        org = target.org()
        since = datetime.fromisoformat(str(self.state().get("since", {}).get(org.id, iso(org.now))))
        name = "sample" if only else "final"
        with self.ledger(org, write=False) as ledger, open_engine(self.workspace.work / "scratch") as connection:
            looking = Looking(
                plan=plan,
                folder=folder,
                recipe=self.recipe(),
                snapshot=self.snapshot(),
                target=target,
                ledger=ledger,
                connection=connection,
                work=self.workspace.work / name,
                out=self.workspace.private / "diff" / f"{name}.parquet",
                sink=self.sink,
                since=since,
                only=only,
            )
            result = reconcile(looking)
            if only is not None:
                sample_data(self, plan, connection, result, self._example(looking))
        return result

    def _example(self, looking: Looking) -> dict[str, Any] | None:
        """The story of one sampled record that became several things, for the report."""
        assert looking.only is not None
        planned = parquet(looking.folder / PLANNED)
        found = looking.connection.execute(
            f"SELECT p.object, p.rid FROM {planned} p JOIN {parquet(looking.only)} s ON s.output = p.output "
            "AND s.key = p.key WHERE p.outcome = 'load' GROUP BY ALL "
            "ORDER BY count(*) DESC, p.object DESC, p.rid LIMIT 1"
        ).fetchall()
        if not found:
            return None
        return tell(
            looking.connection,
            looking.plan,
            looking.folder,
            looking.recipe,
            looking.snapshot,
            looking.target,
            looking.ledger,
            *found[0],
        )

    def _ours(self, target: Target) -> frozenset[str]:
        """Ids of records that we created and that a match might find: they are no match for themselves."""
        matching = [text(o.name) for _, o in self.recipe().outputs() if o.match is not None]
        with self.ledger(target.org(), write=False) as ledger, open_engine(self.workspace.work / "scratch") as engine:
            ledger.id_map(engine)
            found = engine.execute(
                f"SELECT id FROM id_map WHERE how = 'inserted' AND object IN ({', '.join(matching) or 'NULL'})"
            ).fetchall()
        return frozenset(r[0] for r in found)

    def _gates(self, plan: Plan, folder: Path, target: Target) -> list[gates.Gate]:
        """Every gate between this plan and the target, in the order in which a person meets them."""
        decisions = self.decisions()
        recipe = self.recipe()
        owners = json.loads((folder / OWNERS).read_text(encoding="utf-8"))
        binding = bind(target, recipe)
        fields: dict[str, set[str]] = {}
        for c in plan.consignments:
            fields.setdefault(c.object, set()).update(c.fields)
        emails = [o["email"] for o in owners]
        now = used_facts(binding, recipe, fields, match_owners(emails, binding.users, decisions.owner_of()))
        actions = decisions.automation_actions()
        blocking = [
            {"id": a.id, "effect": f"{a.kind} {a.name} on {a.object}: {a.effect}"}
            for a in binding.automations
            if (a.active or a.id in actions) and a.blocks
        ]
        with open_engine(self.workspace.work / "scratch") as connection:
            waiting = waiting_owners(connection, folder)
            lost = quarantined(connection, folder, recipe, self.snapshot(), self.workspace.layout())
        moved = differences(_json(plan.facts), _json(now))
        return [
            gates.map_gate(self.rows(), decisions),
            gates.fate_gate(unused_columns(recipe, self._columns())),
            gates.recipe_gate(plan, recipe_of(recipe, decisions)),
            gates.owner_gate(owners, waiting),
            gates.risk_gate(self.discovery().risks, decisions),
            gates.automation_gate(blocking, decisions),
            gates.forecast_gate(plan),
            gates.threshold_gate(plan, decisions, *lost),
            gates.facts_gate(moved),
            gates.sample_gate(plan, decisions, self._sampled_facts(plan, decisions)),
        ]

    def _columns(self) -> dict[str, list[str]]:
        """Columns that the export really has, by object."""
        return {n: [c.name for c in o.columns if c.present] for n, o in self.snapshot().objects.items()}

    def _sampled_facts(self, plan: Plan, decisions: Decisions) -> Mapping[str, Any] | None:
        """The facts under which the newest approved sample of this recipe was loaded; None when its plan is gone."""
        digests = [a.plan for a in decisions.approvals if a.recipe == plan.recipe]
        saved = self.workspace.plans / f"{digests[-1][:16]}.json" if digests else None
        return load_plan(self.workspace.plans, digests[-1]).facts if saved and saved.exists() else None

    def _put_back(self, plan: Plan, folder: Path, target: Target) -> None:
        """The next start after a crash first switches on again what was off."""
        with self.ledger(target.org(), write=False) as ledger:
            left_off = ledger.automations_off()
        if left_off:
            with self._running(plan, folder, target) as run:
                run.id = run.ledger.run
                restore_automations(run)

    def _one_recipe(self, plan: Plan, target: Target, by: str) -> None:
        """A target holds records of one recipe: a sample of another is rolled back, a whole load never silently."""
        with self.ledger(target.org(), write=False) as ledger:
            standing: list[RunOpened] = []
            for _, recorded in ledger.events(RunOpened):
                if isinstance(recorded.event, RunOpened):
                    undone = recorded.event.verb == Verb.ROLLBACK
                    standing = [] if undone else [*standing, recorded.event]
        others = [e for e in standing if e.plan != plan.digest and self.load_plan(e.plan)[0].recipe != plan.recipe]
        if any(e.verb == Verb.APPLY for e in others):
            raise GateError(
                "one recipe per target",
                "the target holds records that were loaded by another recipe",
                evidence=[f"plan {e.plan[:12]}, {e.verb} by {e.by}" for e in others],
                hint="go back to that recipe, or roll the load back first: rehouse rollback --plan",
            )
        if others:
            last, folder = self.load_plan(others[-1].plan)
            with self._running(last, folder, target) as run:
                run.note("the recipe changed since the last sample: rolling that back first")
                roll_back(run, by or getpass.getuser())

    def _applied(self) -> str:
        """Digest of the plan of the newest run that wrote to the target."""
        with self.target() as target, self.ledger(target.org(), write=False) as ledger:
            digests = [
                r.event.plan
                for _, r in ledger.events(RunOpened)
                if isinstance(r.event, RunOpened) and r.event.verb != Verb.ROLLBACK
            ]
        if not digests:
            raise UserError("nothing has been loaded yet", hint="rehouse sample, then rehouse apply")
        return digests[-1]

    def _intact(self, plan: Plan, folder: Path) -> None:
        for consignment in plan.consignments:
            if file_digest(folder / consignment.file) != consignment.sha256:
                raise FatalError(
                    f"consignment {consignment.name} is not the one that was planned", hint="make a new plan"
                )

    def calls(self) -> dict[str, int]:
        """Requests of the runs so far, as the connector counted them."""
        return dict(self.state().get("calls", {}))

    def state(self) -> dict[str, Any]:
        """What this migration remembers between commands: newest snapshot, plan, sample."""
        path = self.workspace.private / "state.json"
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}

    def _remember(self, **changes: Any) -> None:
        state = {**self.state(), **changes}
        write_text(self.workspace.private / "state.json", json.dumps(state, indent=1, ensure_ascii=False) + "\n")

    def loaded(self) -> dict[str, Any]:
        """Accepted and refused records per output, by the ledger, of everything loaded so far."""
        scratch = self.workspace.work / "scratch"
        with (
            self.target() as target,
            self.ledger(target.org(), write=False) as ledger,
            open_engine(scratch) as connection,
        ):
            ledger.outcomes_view(connection)
            found = connection.execute(
                "SELECT object, count(*) FILTER (ok), count(*) FILTER (NOT ok) FROM outcomes "
                "WHERE op <> 'delete' GROUP BY object ORDER BY object"
            ).fetchall()
        outputs = {r[0]: {"accepted": r[1], "refused": r[2]} for r in found}
        return {"outputs": outputs, "refused": sum(r[2] for r in found)}

    def explain(self, object_name: str, key: str) -> dict[str, Any]:
        """One record's story, from the cell of the export to the field of the target and back."""
        plan, folder = self.load_plan(self._applied())
        recipe, snapshot = self.recipe(), self.snapshot()
        with (
            self.target() as target,
            self.ledger(target.org(), write=False) as ledger,
            open_engine(self.workspace.work / "scratch") as connection,
        ):
            return tell(connection, plan, folder, recipe, snapshot, target, ledger, object_name, key)

    def status(self) -> dict[str, Any]:
        """Where the migration stands: what is done, what comes next, what is shut. Asks the target nothing."""
        return status_of(self)


def discover_file(file: Path, source: str, control_totals: Path | None, sink: Sink) -> dict[str, Any]:
    """Discover a stranger's export before anything is set up; keeps nothing."""
    layout = load_layout(source)
    with TemporaryDirectory(prefix="rehouse-") as scratch:
        snapshot = stage(file, layout, Path(scratch) / "staging", control_totals=control_totals, sink=sink)
        return discover(snapshot, layout, Path(scratch) / "discovery", sink=sink).as_dict()


def _json(data: Mapping[str, Any]) -> dict[str, Any]:
    """The data as it reads after a round trip through JSON (tuples as lists)."""
    return dict(json.loads(json.dumps(data)))
