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


AFTER: dict[Point, tuple[Point, ...]] = {
    Point.RUN_OPENED: (Point.SCHEMA_CREATED, Point.AUTOMATION_INTENDED, Point.STAGE_OPENED, Point.RUN_CLOSED),
    Point.SCHEMA_CREATED: (Point.AUTOMATION_INTENDED, Point.STAGE_OPENED),
    Point.AUTOMATION_INTENDED: (Point.AUTOMATION_OFF,),
    Point.AUTOMATION_OFF: (Point.AUTOMATION_INTENDED, Point.STAGE_OPENED),
    Point.STAGE_OPENED: (Point.KEYS_WRITTEN, Point.STAGE_READ_BACK),
    Point.KEYS_WRITTEN: (Point.INTENT_DURABLE,),
    Point.INTENT_DURABLE: (Point.JOB_MADE,),
    Point.JOB_MADE: (Point.JOB_DURABLE,),
    Point.JOB_DURABLE: (Point.ROWS_SENT,),
    Point.ROWS_SENT: (Point.COMMITTED,),
    Point.COMMITTED: (Point.KEYS_WRITTEN, Point.FINISHED),
    Point.FINISHED: (Point.OUTCOMES_WRITTEN,),
    Point.OUTCOMES_WRITTEN: (Point.OUTCOME_DURABLE,),
    Point.OUTCOME_DURABLE: (Point.KEYS_WRITTEN, Point.FINISHED, Point.STAGE_READ_BACK),
    Point.STAGE_READ_BACK: (Point.STAGE_CLOSED,),
    Point.STAGE_CLOSED: (Point.STAGE_OPENED, Point.AUTOMATION_ON),
    Point.AUTOMATION_ON: (Point.AUTOMATION_ON, Point.RUN_CLOSED),
    Point.RUN_CLOSED: (),
}
"""From each point, the points a run may reach next. Rollback passes the same table with delete and restore parts."""
