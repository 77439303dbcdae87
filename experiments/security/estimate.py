"""Cost of the known lattice attacks on the secrets of the standard parameter set, by the public lattice-estimator.

It reads sizes and noise from crates/fhe/src/params.rs and gadgets from crates/fhe/src/keys/gadgets.rs, so it cannot disagree with the program.
The estimator is no package of PyPI and is not copied here. Get it at the commit of the committed results:

  git clone https://github.com/malb/lattice-estimator
  git -C lattice-estimator checkout 27a581bb8e9d49f5e9e2db315bd48ac769d5f5f5
  python3.11 -m venv venv && venv/bin/pip install -r experiments/security/requirements.txt

Example, from the root of the repository:

  venv/bin/python experiments/security/estimate.py --estimator lattice-estimator --out experiments/security/results/<date>-<machine>

It prints a table and writes estimate.txt, estimate.json, attacks.csv (every attack) and lowest.csv (the cheapest of each secret and cost model).
It goes on from what the folder holds already: an interrupted run loses one estimate.
"""

import argparse
import csv
import json
import math
import multiprocessing
import platform
import re
import subprocess
import sys
import time
from functools import partial
from importlib.metadata import version
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
MODELS = {"MATZOV": "MATZOV", "BDGL16": "BDGL16", "core-SVP": "ADPS16"}
ATTACKS = ["dual_hybrid", "usvp", "bdd", "dual", "dual_hybrid_search", "arora-gb", "bkw", "dual_hybrid_mitm", "bdd_mitm_hybrid", "bdd_hybrid"]
# These two do not reduce lattices, so one cost model is as good as another.
WITHOUT_REDUCTION = {"arora-gb", "bkw"}


def constants():
    """Sizes, noise and samples of the standard set, from the program's text."""
    params = (REPOSITORY / "crates/fhe/src/params.rs").read_text()
    standard = params[params.index("pub const STANDARD"):]
    gadgets = (REPOSITORY / "crates/fhe/src/keys/gadgets.rs").read_text()

    def numbers(pattern, text):
        found = re.search(pattern, text)
        if not found:
            sys.exit(f"estimate.py: found no {pattern!r} in the program's text, expected the constants of the standard set; mend the pattern")
        return [int(x) for x in found.groups()]

    ring, = numbers(r"PolynomialSize\((\d+)\)", standard)
    noise, = numbers(r"glwe_noise_log2: (\d+)", standard)
    small = {key: numbers(key + r": SmallKey \{ dimension: LweDimension\((\d+)\), noise_log2: (\d+)", standard) for key in ("compare", "refresh")}
    gadget = lambda key: numbers(rf"\b{key}: Gadget::new\((\d+), (\d+)\)", gadgets)
    levels = {key: gadget(key)[1] for key in ("compare_keyswitch", "compare", "refresh_keyswitch", "refresh", "trace", "square")}
    return ring, noise, small, levels


def instances(estimator):
    """The secrets that must not be found, each as a problem of the estimator."""
    nd, lwe, oo = estimator.ND, estimator.LWE, estimator.infinity
    ring, noise, small, levels = constants()
    polynomials = sum(2 * levels[key] * small[key][0] for key in small) + levels["trace"] * int(math.log2(ring)) + levels["square"]
    problems = [(
        "ring", lwe.Parameters(n=ring, q=2**64, Xs=nd.Binary, Xe=nd.TUniform(noise), m=oo, tag="ring"),
        f"unlimited, {polynomials * ring:,} in an evaluation key and {ring} a ciphertext of a query",
    )]
    for key, (n, log2) in small.items():
        # Keyswitch keys are modulo 2^32; noise is that of the constant, on 32 bits.
        samples = ring * levels[f"{key}_keyswitch"]
        problems.append((
            key, lwe.Parameters(n=n, q=2**32, Xs=nd.Binary, Xe=nd.TUniform(log2 - 32), m=samples, tag=key),
            f"{samples:,}, the rows of one keyswitch key",
        ))
    # The blinding of a reply: differences of two bits, and one polynomial, the mask.
    problems.append((
        "blinding", lwe.Parameters(n=ring, q=2**64, Xs=nd.CenteredBinomial(1), Xe=nd.TUniform(noise), m=ring, tag="blinding"),
        f"{ring:,}, the mask of one ciphertext of a reply",
    ))
    return problems


class Estimator:
    """What is used of the lattice-estimator, loaded from its folder."""

    def __init__(self, folder):
        sys.path.insert(0, str(folder))
        import sage.all
        from estimator import LWE, ND, RC
        from estimator.gb import arora_gb
        from estimator.lwe_bkw import coded_bkw
        from estimator.lwe_dual import dual, dual_hybrid, matzov
        from estimator.lwe_guess import guess_composition
        from estimator.lwe_primal import primal_bdd, primal_hybrid, primal_usvp

        self.LWE, self.ND, self.RC, self.infinity = LWE, ND, RC, sage.all.oo
        self.reductions = {
            "usvp": primal_usvp,
            "bdd": primal_bdd,
            "bdd_hybrid": partial(primal_hybrid, mitm=False, babai=False),
            "bdd_mitm_hybrid": partial(primal_hybrid, mitm=True, babai=True),
            "dual": dual,
            # What the estimator's own report calls dual_hybrid is MATZOV's attack; the older ones search or meet in the middle.
            "dual_hybrid": matzov,
            "dual_hybrid_search": dual_hybrid,
            "dual_hybrid_mitm": partial(dual_hybrid, mitm_optimization=True),
        }
        self.others = {"arora-gb": guess_composition(arora_gb), "bkw": coded_bkw}

    def cost(self, attack, model, problem):
        """What one attack costs; None where it does not apply."""
        if attack in self.others:
            cost = self.others[attack](problem)
        else:
            cost = self.reductions[attack](problem, red_cost_model=getattr(self.RC, MODELS[model]))
        rop = cost["rop"]
        if rop == self.infinity or not math.isfinite(float(math.log2(rop))):
            return None
        plain = {}
        for key, value in cost.items():
            try:
                plain[str(key)] = float(value) if math.isfinite(float(value)) else str(value)
            except (TypeError, ValueError, OverflowError):
                plain[str(key)] = str(value)
        return {"bits": float(math.log2(rop)), "cost": plain}


def timed(estimator, attack, model, problem, limit):
    """Runs one attack's estimate in a child process, which is ended at the limit."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()

    def work():
        try:
            theirs.send(estimator.cost(attack, model, problem))
        except Exception as error:  # the estimator refuses some combinations; say so and go on
            theirs.send({"error": f"{type(error).__name__}: {error}"[:200]})

    child = context.Process(target=work)
    start = time.time()
    child.start()
    result = ours.recv() if ours.poll(limit) else {"error": f"not done in {limit} s"}
    child.kill()
    child.join()
    return result or {"error": "does not apply"}, time.time() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--estimator", type=Path, required=True, help="folder of a checkout of the lattice-estimator")
    parser.add_argument("--out", type=Path, required=True, help="folder that the results go to")
    parser.add_argument("--secrets", nargs="*", default=["ring", "compare", "refresh", "blinding"])
    parser.add_argument("--attacks", nargs="*", default=ATTACKS, choices=ATTACKS)
    parser.add_argument("--models", nargs="*", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--limit", type=int, default=240, help="seconds that one estimate may take")
    options = parser.parse_args()
    commit = subprocess.run(["git", "-C", options.estimator, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    estimator = Estimator(options.estimator.resolve())
    options.out.mkdir(parents=True, exist_ok=True)
    problems = [(name, problem, samples) for name, problem, samples in instances(estimator) if name in options.secrets]
    kept = options.out / "estimate.json"
    rows = json.loads(kept.read_text())["attacks"] if kept.exists() else []
    done = {(row["attack"], row["model"], row["secret"]) for row in rows}
    about = {
        "estimator": commit, "passagemath": version("passagemath-standard"), "python": platform.python_version(), "limit_seconds": options.limit,
        "secrets": {name: {"problem": repr(problem), "samples": samples} for name, problem, samples in problems},
    }
    # The quick attacks first; what is done is written after every estimate.
    for attack in options.attacks:
        for model in ["none"] if attack in WITHOUT_REDUCTION else options.models:
            for name, problem, _ in problems:
                if (attack, model, name) in done:
                    continue
                result, seconds = timed(estimator, attack, model, problem, options.limit)
                rows.append({"secret": name, "attack": attack, "model": model, "seconds": round(seconds, 1), **result})
                print(f"{name} {attack} {model}: {result.get('bits', result.get('error'))}, {seconds:.0f} s", file=sys.stderr, flush=True)
                write(options.out, about, rows)
    print((options.out / "estimate.txt").read_text())


def write(out, about, rows):
    """All files, from what is known so far."""
    (out / "estimate.txt").write_text("\n".join(report(about, rows)) + "\n")
    (out / "estimate.json").write_text(json.dumps({"about": about, "attacks": rows}, indent=1) + "\n")
    table(out / "attacks.csv", ["secret", "model", "attack", "bits"], rows)
    best = [lowest(rows, name, model) | {"model": model} for name in about["secrets"] for model in MODELS]
    table(out / "lowest.csv", ["secret", "model", "attack", "bits"], best)


def report(about, rows):
    """The table for people, line by line."""
    yield f"lattice-estimator {about['estimator']}, passagemath {about['passagemath']}, Python {about['python']}"
    yield "log2 of operations; - where an attack does not apply, has no finite cost, or its estimate was not done in time (estimate.json says which)."
    yield "Bodies on the wire are truncated, which only adds noise: costs are those of the noise before truncation."
    for name, secret in about["secrets"].items():
        yield f"\n{name}: {secret['problem']}; samples: {secret['samples']}"
        yield f"  {'attack':20}" + "".join(f"{model:>10}" for model in MODELS)
        for attack in dict.fromkeys(row["attack"] for row in rows):
            cells = [bits(row for row in rows if (row["secret"], row["attack"]) == (name, attack) and row["model"] in (model, "none")) for model in MODELS]
            yield f"  {attack:20}" + "".join(cells)
        yield f"  {'lowest':20}" + "".join(bits([lowest(rows, name, model)]) for model in MODELS)


def bits(rows):
    """A cell of the table."""
    found = [row["bits"] for row in rows if "bits" in row]
    return f"{found[0]:10.1f}" if found else f"{'-':>10}"


def lowest(rows, secret, model):
    """The cheapest attack on a secret."""
    fit = [row for row in rows if row["secret"] == secret and row["model"] in (model, "none") and "bits" in row]
    return min(fit, key=lambda row: row["bits"], default={})


def table(path, columns, rows):
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            if "bits" in row:
                writer.writerow([f"{row[c]:.2f}" if c == "bits" else row[c] for c in columns])


if __name__ == "__main__":
    main()
