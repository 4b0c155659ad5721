"""How values and tables are written in LaTeX."""

from collections.abc import Sequence

from lwcnn.evaluation import mean_and_interval
from lwcnn.evaluation.comparison import Difference
from lwcnn.system.safe_text import latex_text

NOT_RUN = r"\notrun{}"
DISPLAY_NAMES = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST", "cifar10": "CIFAR-10"}


def escape(text: str) -> str:
    """Plain text as LaTeX shows it."""
    return latex_text(text)


def code(name: str) -> str:
    """A name as it is typed, in typewriter letters; it may break after `_` and `+`."""
    text = escape(name).replace(r"\_", r"\_\allowbreak{}").replace("+", r"+\allowbreak{}")
    return rf"\texttt{{{text}}}"


def whole(number: float) -> str:
    """29362 as 29,362."""
    return f"{round(number):,}"


def percent(share: float, digits: int = 2) -> str:
    """0.6733 as 67.33."""
    return f"{100 * share:.{digits}f}"


def signed(points: float, digits: int = 2) -> str:
    """A difference with its sign, as mathematics."""
    text = f"{points:+.{digits}f}"
    return f"${text}$" if float(text) else f"$\\pm {abs(float(text)):.{digits}f}$"


def mean_and_spread(shares: Sequence[float], digits: int = 2) -> str:
    """Mean and, of several, sample standard deviation, in percent."""
    found = mean_and_interval(shares)
    spread = "" if found.std is None else rf"\,$\pm$\,{100 * found.std:.{digits}f}"
    return f"{100 * found.mean:.{digits}f}{spread}"


def interval(shares: Sequence[float]) -> str:
    """The 95% interval of the mean by Student's t, in percent, cut off at 0 and 100; a dash for a single value."""
    found = mean_and_interval(shares)
    if found.low is None:
        return "--"
    return f"[{100 * max(found.low, 0):.2f}, {100 * min(found.high, 1):.2f}]"


def gain(difference: Difference) -> str:
    """Points with their bootstrap interval."""
    low, high = (
        f"{100 * end:+.2f}".replace("-", r"$-$").replace("+", "$+$") for end in (difference.low, difference.high)
    )
    return f"{signed(100 * difference.mean)} [{low}, {high}]"


def p_values(values: Sequence[float]) -> str:
    """Three digits each, or that all or some are less than 0.001."""
    shown = [r"$<$.001" if p < 0.001 else f"{p:.3f}".lstrip("0") if p < 1 else "1.00" for p in values]
    if len(shown) > 1 and set(shown) == {r"$<$.001"}:
        return r"all $<$.001"
    return ", ".join(shown)


def joined(items: Sequence[str], last: str = "and") -> str:
    """ "a", "a and b" or "a, b and c"."""
    items = list(items)
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {last} {items[-1]}"


def number_word(count: int) -> str:
    """Small numbers as words."""
    words = "none one two three four five six seven eight nine ten eleven twelve".split()
    return words[count] if count < len(words) else whole(count)


def tabular(columns: str, head: Sequence[str], groups: Sequence[Sequence[Sequence[str]]], width: str = "") -> str:
    """A table with rules above, below its head and between its groups of rows.

    Args:
        columns: LaTeX's column types.
        head: of the columns.
        groups: rows of cells, by group; empty groups are left out.
        width: of a tabularx; without it a plain tabular.
    """
    kind, begin = ("tabularx", rf"{{{width}}}") if width else ("tabular", "[t]")
    body = "\n\\midrule\n".join("\n".join(rf"{' & '.join(row)} \\" for row in rows) for rows in groups if rows)
    return "\n".join(
        [
            rf"\begin{{{kind}}}{begin}{{{columns}}}",
            r"\toprule",
            rf"{' & '.join(head)} \\",
            r"\midrule",
            body,
            r"\bottomrule",
            rf"\end{{{kind}}}",
        ]
    )
