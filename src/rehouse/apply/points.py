"""The table of states of everything that writes, and the named points between them.

Each point is announced (`events.Reached`) when everything durable before it is durable. Fault campaigns
enumerate this table: a crash at any point, then a second run, must give the same end state with no record twice.
"""

from __future__ import annotations

from enum import StrEnum


class Point(StrEnum):
    """Named points, in the order in which a run passes them."""

    RUN_OPENED = "run.opened"
    SCHEMA_CREATED = "schema.created"
    AUTOMATION_INTENDED = "automation.intended"
    AUTOMATION_OFF = "automation.off"
    STAGE_OPENED = "stage.opened"
    KEYS_WRITTEN = "part.keys_written"
    INTENT_DURABLE = "part.intent_durable"
    JOB_MADE = "part.job_made"
    JOB_DURABLE = "part.job_durable"
    ROWS_SENT = "part.rows_sent"
    COMMITTED = "part.committed"
    FINISHED = "part.finished"
    OUTCOMES_WRITTEN = "part.outcomes_written"
    OUTCOME_DURABLE = "part.outcome_durable"
    STAGE_READ_BACK = "stage.read_back"
    STAGE_CLOSED = "stage.closed"
    AUTOMATION_ON = "automation.on"
    RUN_CLOSED = "run.closed"


_BEGINNING = (
    Point.SCHEMA_CREATED,
    Point.AUTOMATION_INTENDED,
    Point.STAGE_OPENED,
    Point.AUTOMATION_ON,
    Point.RUN_CLOSED,
)
"""What the stages of a plan begin with. Stages that are through already are left out when a run goes on."""

AFTER: dict[Point, tuple[Point, ...]] = {
    Point.RUN_OPENED: (*_BEGINNING, Point.OUTCOMES_WRITTEN),
    Point.SCHEMA_CREATED: (
        Point.AUTOMATION_INTENDED,
        Point.STAGE_OPENED,
        Point.AUTOMATION_ON,
        Point.RUN_CLOSED,
    ),
    Point.AUTOMATION_INTENDED: (Point.AUTOMATION_OFF,),
    Point.AUTOMATION_OFF: (Point.AUTOMATION_INTENDED, Point.STAGE_OPENED, Point.AUTOMATION_ON),
    Point.STAGE_OPENED: (Point.KEYS_WRITTEN, Point.STAGE_READ_BACK),
    Point.KEYS_WRITTEN: (Point.INTENT_DURABLE,),
    Point.INTENT_DURABLE: (Point.JOB_MADE,),
    Point.JOB_MADE: (Point.JOB_DURABLE,),
    # an upload that broke spends its job: another one is made for the same intent
    Point.JOB_DURABLE: (Point.ROWS_SENT, Point.JOB_MADE),
    # an answer that was lost is settled on the spot, without the points that only an answer reaches
    Point.ROWS_SENT: (Point.COMMITTED, Point.OUTCOMES_WRITTEN),
    Point.COMMITTED: (Point.KEYS_WRITTEN, Point.FINISHED, Point.OUTCOMES_WRITTEN),
    Point.FINISHED: (Point.OUTCOMES_WRITTEN,),
    Point.OUTCOMES_WRITTEN: (Point.OUTCOME_DURABLE,),
    Point.OUTCOME_DURABLE: (
        Point.KEYS_WRITTEN,
        Point.FINISHED,
        Point.STAGE_READ_BACK,
        Point.STAGE_CLOSED,
        # settled at the start of a run, or in another run that a new one closes first
        Point.OUTCOMES_WRITTEN,
        Point.RUN_OPENED,
        *_BEGINNING,
    ),
    Point.STAGE_READ_BACK: (Point.STAGE_CLOSED,),
    Point.STAGE_CLOSED: (Point.STAGE_OPENED, Point.AUTOMATION_ON, Point.RUN_CLOSED),
    # also before anything else: the next start after a crash first puts back what was left off
    Point.AUTOMATION_ON: (Point.RUN_OPENED, Point.OUTCOMES_WRITTEN, *_BEGINNING),
    Point.RUN_CLOSED: (),
}
"""From each point, the points that the same command may reach next. Apply, sample and rollback share the table:
a rollback's parts delete and restore, and its stages close without being read back (what is gone has no fields).
Besides, a run that fails for any reason goes from wherever it is to `AUTOMATION_ON`, once for each that is off.
"""
