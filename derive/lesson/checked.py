"""The section on evidence: what was compared with which witness, in short for everyone, in full for teachers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from derive.evidence import Evidence
from derive.handout.blocks import Block, EvidenceTable, Heading, Paragraph, Teacher

KERNEL = "kernel: "
"""What the claims about the compiled kernel begin with."""


def checked_section(steps: Mapping[str, Sequence[Evidence]], report: Sequence[Evidence]) -> list[Block]:
    """How many comparisons were made for the steps, and the gradients against each witness."""
    records = [record for found in steps.values() for record in found]
    worst = max((record.error for record in records), default=0.0)
    blocks: list[Block] = [
        Heading("How this was checked", id="checked"),
        Paragraph(
            (
                f"Every step above was checked on its own, {len(records)} comparisons in all with a largest relative ",
                f"error of {worst:.1e}. The gradients as a whole were compared with independent witnesses, which see ",
                "the forward equations only:",
            )
        ),
        EvidenceTable(
            summarised(report), ("All gradients against each witness, the largest error of each.",), "evidence"
        ),
    ]
    if len(report) > len(summarised(report)):
        blocks.append(Teacher((EvidenceTable(tuple(report), ("Each gradient on its own.",), "evidence-all"),)))
    return blocks


def summarised(report: Sequence[Evidence]) -> tuple[Evidence, ...]:
    """One record for the derived gradients and one for the kernel's, with each witness: the worst of them."""
    groups: dict[tuple[bool, str], list[Evidence]] = {}
    for record in report:
        groups.setdefault((record.claim.startswith(KERNEL), record.witness), []).append(record)
    found = []
    for (is_kernel, _), records in sorted(groups.items(), key=lambda item: item[0][0]):
        worst = max(records, key=lambda record: (record.error != record.error, record.error / record.tolerance))
        claim = f"the kernel's {len(records)} gradients" if is_kernel else f"the {len(records)} derived gradients"
        found.append(replace(worst, claim=claim, points=sum(r.points for r in records)))
    return tuple(found)
