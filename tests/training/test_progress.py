"""The progress display: one labeled line per epoch, with the time left for the whole run."""

from lwcnn.training.progress import Progress

DUAL = {
    "loss": 3.25,
    "original_logits_accuracy": 0.5,
    "augmented_logits_accuracy": 0.25,
    "val_accuracy": 0.5,
    "original_logits_val_accuracy": 0.625,
    "seconds": 20.0,
}
WHOLE = {"loss": 1.5, "accuracy": 0.75, "val_accuracy": 0.8, "seconds": 3.0}


def test_a_line_names_epoch_accuracies_and_the_time_left_for_the_whole_run(capsys):
    progress = Progress("line", "cifar10 paper")
    progress.expect(10 + 40)
    progress.begin_epoch("dual", 2, 10, num_steps=100)
    progress.step(1, 3.5)
    progress.end_epoch(DUAL, [0.625, 0.5])
    progress.end_phase(10)  # stopped early
    progress.expect(40)  # as a part of the run may, again
    progress.begin_epoch("all", 1, 40, num_steps=100)
    progress.end_epoch(WHOLE, [0.8])
    assert capsys.readouterr().out.splitlines() == [
        "cifar10 paper: dual 2/10, loss 3.2500, accuracy: training 50.00 and 25.00%, validation 62.50 and 50.00%, "
        "up to 8 min left",  # 48 epochs of 10 s
        "cifar10 paper: all 1/40, loss 1.5000, accuracy: training 75.00%, validation 80.00%, up to 2 min left",
    ]
    assert progress.epoch_of_run == 11


def test_names_of_outputs_that_end_in_val(capsys):
    progress = Progress("line")
    progress.begin_epoch("all", 1, 1, num_steps=1)
    record = {"interval_accuracy": 0.5, "interval_val_accuracy": 0.25, "b_accuracy": 0.75, "b_val_accuracy": 0.25}
    progress.end_epoch(WHOLE | record, [0.25, 0.25])
    assert "training 75.00 and 50.00 and 75.00%," in capsys.readouterr().out


def test_a_phase_by_itself_is_a_run(capsys):
    progress = Progress("line")
    progress.begin_epoch("all", 39, 40, num_steps=1)
    progress.end_epoch(WHOLE | {"seconds": 39.0}, [0.8])
    assert capsys.readouterr().out.endswith("up to 1 s left\n")
    progress.begin_epoch("all", 40, 40, num_steps=1)
    progress.end_epoch(WHOLE, [0.8])
    assert capsys.readouterr().out.endswith("validation 80.00%\n")


def test_a_terminal_shows_steps_on_one_line_no_wider_than_it_is(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "40")
    progress = Progress("bar", "mnist")
    progress.begin_epoch("all", 1, 2, num_steps=100)
    progress.end_epoch(WHOLE, [0.8])
    shown = capsys.readouterr().out
    unfinished, finished = shown.rstrip("\n").split("\r")[1:]
    assert unfinished == "mnist: all 1/2, compiling the training step"[:39]
    assert finished.startswith("mnist: all 1/2, loss 1.5000") and shown.count("\n") == 1
