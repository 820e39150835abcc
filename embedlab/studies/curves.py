"""Score against steps: the models at some steps of the trainings of a study."""

from collections.abc import Sequence
from dataclasses import replace

from embedlab.models.settings import model_settings
from embedlab.studies import checkpoints, members
from embedlab.studies.evaluations import StudyTask
from embedlab.studies.members import Member
from embedlab.studies.study_file import Study
from embedlab.training import snapshots


def every(study: Study, member: Member, everyone: Sequence[Member]) -> int | None:
    """After how many steps of a member's training its model is kept; None where it is not."""
    wanted = study.curve and member.recipe and member.role != "twin"
    if not wanted or not study.curve or member.group not in _of(study, everyone):
        return None
    return study.curve.every


def points(study: Study, member: Member, everyone: Sequence[Member]) -> dict[int, Member]:
    """A member at the steps of its curve that were kept, by step."""
    between = every(study, member, everyone)
    if not between or not member.folder:
        return {}
    return {
        step: replace(
            member,
            group=f"{member.group} after {step} steps",
            model=model_settings.named(str(folder), study.settings),
            folder=folder,
        )
        for step, folder in snapshots.folders(member.folder).items()
        if step % between == 0
    }


def tasks(study: Study, every_task: Sequence[StudyTask]) -> list[StudyTask]:
    """The tasks of the curve.

    Raises:
        UserError: one of them is none of the study's.
    """
    from embedlab.errors import unknown

    known = {each.asked.lower(): each for each in every_task}
    wanted = study.curve.tasks if study.curve else []
    for name in wanted:
        if name.lower() not in known:
            raise unknown("task in [curve]", name, [each.asked for each in every_task])
    return [known[name.lower()] for name in wanted]


def lacks(study: Study, member: Member, everyone: Sequence[Member]) -> bool:
    """Whether a member was trained before its curve was asked for, so that no step is there."""
    between = every(study, member, everyone)
    if not between or not member.recipe or not member.folder:
        return False
    asked = member.recipe.stages[-1].steps > between and checkpoints.is_trained(member.folder)
    return asked and not points(study, member, everyone)


def _of(study: Study, everyone: Sequence[Member]) -> list[str]:
    """The groups that have a curve."""
    if not study.curve:
        return []
    if not study.curve.of:
        return [each.group for each in everyone if each.recipe and each.role != "twin"]
    return members.chosen(study.curve.of, everyone, "[curve]")
