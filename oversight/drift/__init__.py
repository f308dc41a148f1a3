"""Drift: what the portal believes, what PIM holds and what IAM Identity Center shows, compared for every managed group.

Nothing here changes anything in a cloud. `looking` reads, `judging` compares (pure), `writing` keeps the findings,
`runs` walks through the groups in slices, `resolving` is a person's word on a finding.
"""
