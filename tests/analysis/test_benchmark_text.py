"""The tables of a benchmark: what is measured is in them, at every width."""

import statistics

import analysis


def summary(rounds):
    ends = {"min": min(rounds), "max": max(rounds), "rounds": len(rounds)}
    return {"median": statistics.median(rounds)} | ends


def test_ratios_and_moments_are_shown():
    rows = {
        name: {
            "estimax": summary([0.5, 0.6, 0.7]) | {"variance": 93.0},
            "torch": {
                "eager": summary([2.0, 2.0, 2.0]) | {"variance": 93.1},
                "compiled 20": summary([0.9, 1.2, 0.7]) | {"variance": 93.2},
            },
            "best": "compiled 20",
            "ratio": summary([1.8, 2.0, 1.0]),
        }
        for name in (
            "ScoreFunction[baseline=LeaveOneOut[num_samples=2]]",
            "GumbelSoftmax[temperature=0.5]",
        )
    }
    contest = {"rows": rows, "problem": "VAE[size=200]", "batch": 100, "parameters": 314784}
    versions = {"estimax": "0.1.0", "jax": "0.10.2"}
    figures = {
        "machine": {
            "processor": "a processor",
            "cores": 2,
            "load": [0.1, None],
            "device": "2 x cpu",
            "versions": versions,
        },
        "torch": {"version": "2.13", "device": "cpu", "threads": 2, "failed": []},
        "quick": False,
        "gradients": contest,
        "steps": contest,
        "toy": {"rows": {}, "problem": "Quadratic"},
        "batches": {
            "seeds": 8,
            "runs": 15,
            "rows": {
                "MuProp": {
                    "alone": summary([100.0]),
                    "together": summary([150.0]),
                    "ratio": summary([1.5]),
                    "compile_seconds": 4.25,
                }
            },
        },
        "evaluation": {
            "problem": "VAE[size=200]",
            "samples": 5000,
            "images": summary([35.0]),
            "floor": summary([50.0]),
            "ratio": summary([0.7]),
        },
        "cost": {
            "problem": "VAE",
            "unit": summary([1e-4]),
            "rows": {"MuProp": {"seconds": summary([3e-4]), "evaluations": 2, "ratio": 1.5}},
        },
    }
    text = analysis.benchmark_text(figures)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    row = "0.60 (0.50-0.70) 0.90 (0.70-1.20) compiled 20 1.80 (1.00-2.00)"
    assert f"GumbelSoftmax[0.5] {row}" in lines
    assert "GumbelSoftmax[0.5] 93 93.2" in lines
    assert "MuProp 300 (300-300) 2 1.50" in lines
    assert "MuProp 100 (100-100) 150 (150-150) 1.50 (1.50-1.50) 4.2 s" in lines
    assert "35.0 (35.0-35.0) 50.0 (50.0-50.0) 0.70 (0.70-0.70)" in lines
    assert "PyTorch 2.13 on cpu, 2 threads" in lines and "smoke" not in text
    assert max(map(len, text.splitlines())) <= 100
    for width in (60, 80, 120, 200):
        text = analysis.benchmark_text(figures, width)
        assert max(map(len, text.splitlines())) <= width
        assert "GumbelSoftmax[0.5]" in text and "0.90" in text and "compiled 20" in text
    assert "(0.70-1.20)" in text and "(0.70-1.20)" not in analysis.benchmark_text(figures, 60)
