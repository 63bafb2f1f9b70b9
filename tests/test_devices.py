"""PyTorch's layers and models on every device that is there: a GPU, where there is one."""

import warnings

import numpy as np
import pytest
import torch

from rnnlab import numpy as ours
from rnnlab import torch as lab
from rnnlab.batching import Batch
from rnnlab.text import Vocabulary, streams

with warnings.catch_warnings():  # a build of PyTorch for a GPU may warn where there is none
    warnings.filterwarnings("ignore", "CUDA initialization")
    DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
LAYERS = {
    "SimpleRNN": lambda lab: lab.SimpleRNN(3, 4, dtype="float64"),
    "LSTM": lambda lab: lab.LSTM(3, 4, 2, dtype="float64"),
    "GRU": lambda lab: lab.GRU(3, 4, bidirectional=True, dtype="float64"),
    "GRU, reset before": lambda lab: lab.RNN(
        lab.GRUCell(3, 4, reset_after=False, dtype="float64"),
    ),
}
XS = np.random.default_rng(0).normal(size=(5, 7, 3))
LENGTHS = [7, 0, 3, 6, 1]


@pytest.fixture(params=DEVICES)
def device(request):
    return request.param


def by_loop(layer):
    """The same layer, led through the cells' steps by autograd."""
    for one in layer.modules():
        if isinstance(one, lab.RNN):
            one.by_hand = False
    return layer


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "lengths"])
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_gives_numpys_numbers_where_it_was_moved(device, name, lengths):
    layer = LAYERS[name](lab).to(device)
    ys, state = layer(XS, lengths=lengths)  # an array goes where the weights are
    expected, _ = LAYERS[name](ours)(XS, lengths=lengths)
    assert ys.device.type == device
    assert np.allclose(ys.detach().cpu(), expected, rtol=0, atol=1e-12)
    assert layer.last_output(state).device.type == device


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "lengths"])
@pytest.mark.parametrize("name", LAYERS)
def test_the_way_back_by_hand_is_autograds_there(device, name, lengths):
    found = []
    for change in lambda layer: layer, by_loop:
        layer = change(LAYERS[name](lab)).to(device)
        xs = torch.tensor(XS, device=device, requires_grad=True)
        ys, state = layer(xs, lengths=lengths)
        loss = (ys * torch.arange(7.0, device=device)[:, None]).sum()
        loss = loss + layer.last_output(state).square().sum()
        found.append(torch.autograd.grad(loss, [xs, *layer.parameters()]))
    for one, other in zip(*found, strict=True):
        assert one.device.type == device
        assert torch.allclose(one, other, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ["SimpleRNN", "LSTM", "GRU"])
def test_the_frameworks_layer_comes_along(device, name):
    layer = LAYERS[name](lab).to(device)
    native = lab.to_native(layer)
    xs = torch.tensor(XS, device=device)
    assert torch.allclose(native(xs)[0], layer(xs)[0], rtol=0, atol=1e-12)
    back = lab.from_native(native)
    assert torch.equal(back(xs)[0], layer(xs)[0])


@pytest.mark.parametrize("kind", ["SimpleRNN", "LSTM", "GRU"])
def test_a_model_is_trained_there_to_the_same_losses(device, kind):
    """Dropout included: what is dropped is drawn by NumPy."""
    song = "row, row, row your boat, gently down the stream. " * 8
    vocabulary = Vocabulary.from_text(song)

    def trained(device):
        layer = getattr(lab, kind)(len(vocabulary), 16, 2, dtype="float64")
        model = lab.CharLM(vocabulary, layer, dropout=0.2, seed=0).to(device)
        batches = streams(vocabulary.encode(song), 4, 10)
        losses = lab.fit(model, batches, steps=12, lr=0.02, clip=1.0, progress=False)
        return model, losses, lab.sample(model, "row", 20, temperature=0)

    _, expected, said = trained("cpu")
    model, losses, words = trained(device)
    assert {weight.device.type for weight in model.parameters()} == {device}
    assert np.allclose(losses, expected, rtol=0, atol=1e-9)
    assert losses[-1] < losses[0]
    assert words == said


MODELS = {
    "Classifier, last": lambda lab: lab.Classifier(layer_of(lab), 4, dropout=0.2),
    "Classifier, mean": lambda lab: lab.Classifier(layer_of(lab), 4, read="mean"),
    "Classifier, max": lambda lab: lab.Classifier(layer_of(lab), 4, read="max"),
    "Classifier, every": lambda lab: lab.Classifier(layer_of(lab), 4, read="every"),
    "Forecaster, last": lambda lab: lab.Forecaster(layer_of(lab), 3, horizon=2, dropout=0.2),
    "Forecaster, every": lambda lab: lab.Forecaster(layer_of(lab), 3, read="every"),
}


def layer_of(lab):
    return lab.LSTM(3, 5, dtype="float64")


def targets_of(name, rng):
    kind, read = name.split(", ")
    steps = (7,) if read == "every" else ()
    if kind == "Classifier":
        return rng.integers(4, size=(5, *steps))
    return rng.normal(size=(5, *(steps or (2,)), 3))


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "lengths"])
@pytest.mark.parametrize("name", MODELS)
def test_a_models_gradients_are_numpys(device, name, lengths):
    batch = Batch(XS, targets_of(name, np.random.default_rng(1)), lengths)
    found = []
    for notation in ours, lab:
        model = MODELS[name](notation)
        model = model if notation is ours else model.to(device)
        loss, _, grads = model.gradients(batch, rng=np.random.default_rng(2))
        found.append([float(loss), *(grads[n] for n in sorted(grads))])
    (loss, *expected), (one, *grads) = found
    assert np.isclose(one, loss, rtol=0, atol=1e-12)
    for grad, other in zip(grads, expected, strict=True):
        assert grad.device.type == device
        assert np.allclose(grad.cpu(), other, rtol=0, atol=1e-12)


@pytest.mark.parametrize("read", ["last", "every"])
def test_a_forecaster_goes_on_there(device, read):
    model = lab.Forecaster(layer_of(lab), 3, read=read).to(device)
    expected = ours.forecast(ours.Forecaster(layer_of(ours), 3, read=read), XS, 4)
    found = lab.forecast(model, XS, 4)
    assert found.device.type == device
    assert np.allclose(found.cpu(), expected, rtol=0, atol=1e-12)


def test_a_training_run_goes_on_from_a_file_there(device, tmp_path):
    song = "row, row, row your boat. " * 8
    vocabulary = Vocabulary.from_text(song)
    batches = streams(vocabulary.encode(song), 4, 10)

    def model():
        layer = lab.LSTM(len(vocabulary), 8, dtype="float64")
        return lab.CharLM(vocabulary, layer, seed=0).to(device)

    options = {"lr": 0.02, "progress": False}
    whole = lab.fit(model(), batches, steps=10, **options)
    path = tmp_path / "run.safetensors"
    lab.fit(model(), batches, steps=6, checkpoint=path, **options)
    rest = lab.fit(model(), batches, steps=10, resume=path, **options)
    assert np.allclose(rest[-4:], whole[-4:], rtol=0, atol=1e-9)
