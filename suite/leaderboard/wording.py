"""Numbers and verdicts as people read them; the same words on the page and in the tables."""

from suite.leaderboard.board import Entry, Setting
from suite.leaderboard.cost import Foretold, Spent
from suite.leaderboard.fairness import MOST, QUANTITIES, Ledger
from suite.leaderboard.published import MARKS, Published
from suite.leaderboard.rows import Metric
from suite.leaderboard.statistics import Estimate

MINUS = "\N{MINUS SIGN}"
SPREAD = "mean ± half of its 95% interval over seeds; sd is the standard deviation over seeds"
COSTLIER = "costlier"
NOISE = "the standard deviation over seeds within rows, pooled over the setting"
ELSEWHERE = "the same seed may have another number on another kind"
SYMBOLS = {"better": "▲", "worse": "▼", "not significant": "≈", "not judged": "·"}


def number(value: float | None, decimals: int = 2) -> str:
    """`12.30`, `−0.40`, or a dash where there is none."""
    if value is None:
        return "–"
    text = f"{value:,.{decimals}f}" if abs(value) < 1e7 else f"{value:.3g}"
    return text.replace("-", MINUS)


def signed(value: float | None) -> str:
    """A difference, always with its sign: `+1.20`, `−0.40`, `0.00`."""
    text = number(value)
    return f"+{text}" if value is not None and value > 0 else text


def mean(estimate: Estimate | None) -> str:
    """`72.00 ± 4.97`, half the 95% interval; only the mean where one seed finished."""
    if estimate is None:
        return "–"
    return (
        number(estimate.mean)
        if estimate.half_width is None
        else f"{number(estimate.mean)} ± {number(estimate.half_width)}"
    )


def deviation(estimate: Estimate | None) -> str:
    """`2.00`, the standard deviation over seeds; a dash where fewer than two finished."""
    return number(estimate.sd if estimate else None)


def interval(estimate: Estimate | None) -> str:
    """`[−0.10, +2.30]`, or nothing where there is none."""
    if estimate is None or estimate.low is None:
        return ""
    return f"[{signed(estimate.low)}, {signed(estimate.high)}]"


def axis(metric: Metric) -> str:
    """`accuracy [%]`."""
    return f"{metric.name} [{metric.unit}]" if metric.unit else metric.name


def direction(metric: Metric) -> str:
    """`accuracy in %, higher is better`."""
    return f"{metric.name}{f' in {metric.unit}' if metric.unit else ''}, {metric.better} is better"


def verdict(entry: Entry) -> str:
    """`baseline`, `better`, `not significant` ..., or how the row ended if it has no numbers."""
    if entry.estimate is None:
        return ending(entry)
    return entry.comparison.verdict if entry.comparison else "baseline"


def ending(entry: Entry) -> str:
    """The worst thing that happened in a row: `failed (nan)`, `skipped`, ..., `ok`."""
    for status in ("failed", "blocked", "skipped", "pending"):
        for trial in entry.row.trials:
            if trial.status == status:
                return f"{status} ({trial.failure})" if trial.failure else status
    return "ok"


def seeds(entry: Entry) -> str:
    """`3`, or `2 of 3` where not every seed finished."""
    finished, planned = len(entry.row.values()), len(entry.row.trials)
    return str(planned) if finished == planned else f"{finished} of {planned}"


def reasons(entry: Entry) -> list[str]:
    """Each different reason why trials of the row have no number, once."""
    return list(dict.fromkeys(trial.reason for trial in entry.row.trials if trial.reason))


def noise(setting: Setting) -> str:
    """`Noise floor 0.42: the standard deviation ...`, or nothing where no row has two seeds."""
    return f"Noise floor {number(setting.noise)}: {NOISE}" if setting.noise is not None else ""


def machines(setting: Setting) -> str:
    """That a setting's numbers come from several kinds of machines, and what that means; nothing where it is one."""
    if len(setting.machines) < 2:
        return ""
    return f"{len(setting.machines)} kinds of machines ({kinds(setting)}): {ELSEWHERE}"


def kinds(setting: Setting) -> str:
    """`cpu (AMD EPYC, AVX2); cpu (not named)`: older results name no processor."""
    return "; ".join("cpu (not named)" if kind == "cpu" else kind for kind in setting.machines)


def figure(value: float | None) -> str:
    """Two digits, or whole numbers from a hundred on; a dash where there is none.

    >>> figure(0.00312), figure(4.24), figure(99.7), figure(1234)
    ('0.0031', '4.2', '100', '1,234')
    """
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 99.5 else f"{value:.2g}"


def duration(seconds: float) -> str:
    """`45 s`, `12 min`, `2.9 h`.

    >>> duration(44.6), duration(750), duration(10440)
    ('45 s', '12 min', '2.9 h')
    """
    if seconds < 60:
        return f"{figure(seconds)} s"
    return f"{figure(seconds / 60)} min" if seconds < 3600 else f"{figure(seconds / 3600)} h"


def hours(gpu_h: float, core_h: float) -> str:
    """`1.4 GPU-h`, `0.03 core-h`, or both where rows ran on both."""
    used = [(gpu_h, "GPU-h"), (core_h, "core-h")]
    return " + ".join(f"{figure(spent)} {unit}" for spent, unit in used if spent) or "0 core-h"


def compute(found: Spent | None) -> str:
    """The hours of GPUs and cores, or a dash."""
    return hours(found.gpu_h, found.core_h) if found else "–"


def common_unit(found: Spent | None) -> str:
    """`GPU-h` or `core-h`, if there are hours of one kind alone; else nothing."""
    if found is None or (found.gpu_h and found.core_h):
        return ""
    return "GPU-h" if found.gpu_h else "core-h"


def size(count: float) -> str:
    """`412 MB`, `1.2 GB`, of 1,000 each."""
    return f"{figure(count / 1e6)} MB" if count < 999.5e6 else f"{figure(count / 1e9)} GB"


def energy(joules: float) -> str:
    """`2.5 Wh`, `1.3 kWh`."""
    return f"{figure(joules / 3600)} Wh" if joules < 999.5 * 3600 else f"{figure(joules / 3.6e6)} kWh"


def spent(found: Spent | None) -> str:
    """`took 2.9 h in 3 jobs, 5.8 GPU-h, 1.3 kWh, at most 12 GB a process`; nothing where nothing is known."""
    if found is None:
        return ""
    jobs = "1 job" if found.jobs == 1 else f"{found.jobs} jobs"
    parts = [f"took {duration(found.wall_s)} in {jobs}", compute(found)]
    if found.energy_j is not None:
        parts.append(energy(found.energy_j) + (f" in {found.metered} of them" if found.metered < found.jobs else ""))
    if found.peak_bytes is not None:
        parts.append(f"at most {size(found.peak_bytes)} a process")
    return ", ".join(parts)


def traits(entry: Entry) -> list[str]:
    """What the page filters rows by: verdict and cost, where known, and how trials ended that did not finish."""
    judged = [verdict(entry)] if entry.estimate else []
    dearer = [COSTLIER] if entry.ledger and entry.ledger.over else []
    return [*judged, *dearer, *sorted({trial.status for trial in entry.row.trials} - {"ok"})]


def times(ratio: float | None) -> str:
    """`1.63×`, or a dash."""
    return f"{number(ratio)}×" if ratio is not None else "–"


def ledger(found: Ledger | None) -> str:
    """`parameters 1.00×, step time 1.63×, memory 1.02× the baseline's`; nothing where none is known."""
    stated = [
        f"{words} {times(getattr(found, name))}" for name, words in QUANTITIES.items() if getattr(found, name, None)
    ]
    return f"{', '.join(stated)} the baseline's" if stated else ""


def costlier(entry: Entry) -> str:
    """`More than 1.10× the baseline's: step time 1.63×.`; nothing where a row stays within that."""
    if entry.ledger is None or not entry.ledger.over:
        return ""
    exceeding = [f"{QUANTITIES[name]} {times(getattr(entry.ledger, name))}" for name in entry.ledger.over]
    return f"More than {times(MOST)} the baseline's: {', '.join(exceeding)}."


def foretold(found: Foretold | None, *, beside: Spent | None = None) -> str:
    """`predicted 3.2 h, took 2.9 h (60 jobs: 48 guessed, 12 measured)`; nothing where no prediction was kept.

    Beside what the same jobs took, it is only `predicted 3.2 h (48 guessed, 12 measured)`.
    """
    if found is None:
        return ""
    origins = ", ".join(f"{number} {origin}" for origin, number in found.origins.items())
    if beside and beside.jobs == found.jobs:
        return f"predicted {duration(found.predicted_s)} ({origins})"
    jobs = "1 job" if found.jobs == 1 else f"{found.jobs} jobs"
    return f"predicted {duration(found.predicted_s)}, took {duration(found.took_s)} ({jobs}: {origins})"


def quoted(line: Published) -> str:
    """`GCN, DropEdge: accuracy 49.5. Source (seen: read in ...)`: a paper's figure in words."""
    figures = ", ".join(f"{name} {value:g}" for name, value in line.figures.items())
    protocol = f" Protocol: {line.protocol}." if line.protocol else ""
    return f"{line.model}, {line.variant}: {figures}.{protocol} {line.source} ({line.mark}: {MARKS[line.mark]})"
