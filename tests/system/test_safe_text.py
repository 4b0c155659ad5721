"""Names of users' files and classes, made safe for each place that they are written to."""

from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from lwcnn.system.safe_text import latex_text, one_line, path_part, plot_text


@pytest.mark.parametrize("stem", ["..", "", "a/../../b", "\udce9 té", "x" * 300, "=1+1 '<b>", "\0", "~root", "C:\\x"])
def test_no_name_leaves_its_folder(stem):
    part = path_part(stem)
    assert part == Path(part).name and part not in ("", ".", "..") and len(part) <= 60 and part[0] not in "~-."
    part.encode()


@pytest.mark.parametrize("stem", ["cifar10-mine", "Vögel_2", "a.b", "猫"])
def test_an_ordinary_name_stays_as_it_is(stem):
    assert path_part(stem) == stem


def test_a_name_stays_on_its_line_and_moves_no_cursor():
    assert one_line(" a\n b\x1b[2J\t\udce9 kő ") == "a b?[2J ? kő"


def test_every_format_shows_the_name_unchanged():
    assert latex_text("a_b 5% \\x^~{$}") == r"a\_b 5\% \textbackslash{}x\^{}\textasciitilde{}\{\$\}"
    figure, ax = plt.subplots(figsize=(1, 1))
    ax.set_title(plot_text("$x_{ and $y"))  # as it is, Matplotlib refuses it
    figure.canvas.draw()
    plt.close(figure)
