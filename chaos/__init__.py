"""Chaos: the whole product on real servers, faults on purpose, and a check of what must hold after each.

    python -m chaos                    every fault, both topologies, a few trials each (`make chaos`)
    python -m chaos --fault worker_kill --trials 300 --topology scaled
    python -m chaos --seed 4711 --fault worker_kill --trials 1      a trial that failed, again

`play` says what the model is to answer, `provider` answers it (and keeps the truth), `cluster` runs the
product's processes, `clients` watch as people do, `faults` do the damage, `checks` compare everybody's
story with the database's and the provider's, `trial` is one round of that, `campaign` many.
"""
