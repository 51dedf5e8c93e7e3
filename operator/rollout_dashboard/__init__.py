"""The dashboard: what people look at and decide, by the rights that they have in Kubernetes.

Routes, which tests and links hold on to:

- `GET /` all rollouts; query: `q` (text), `namespace`, `phase`, `sort` (attention, name, phase,
  weight, waiting), `page` (from 1), `rows` (100, or all).
- `GET /events` server-sent events of a view (same query): `rows` is JSON of changed rows, their
  order and the summary; with `rollout=NAMESPACE/NAME`: `changed`. `login` where the token is no
  longer taken, `trouble` and `live` for the connection to the cluster.
- `GET /rollouts/NS/NAME`, its `/fragment` (what changes), `/evidence` (each gate with its query,
  asked now), `/runs` (of
  MLflow), `/series.json` (over time), `/attempts/N` and `/attempts/N/series.json`.
- `GET /rollouts/NS/NAME/actions/VERB` says what will follow; `POST` does it (fields `csrf`,
  `attempt`, `reason`).
- `GET` and `POST /login` (field `token`), `POST /logout` (field `csrf`), `GET /enter?code=…` (the
  one-time secret of the loopback command), `GET /healthz`, `GET /static/…`.

Elements: `#rollouts` (table), `#rows` (its body), rows `tr[data-rollout="NS/NAME"]` with
`data-phase`, `data-group` (person, trial, rolled-back, rest) and cells `[data-cell]`; `#filter`,
`#summary`, `#live` (`data-state` live, lost or login), `#announce`; `#rollout` with sections
`#status`, `#ladder`, `#gates`, `#over-time` (plots `[data-plot]`), `#queries`, `#revisions`,
`#pods`, `#timeline`, `#history`, `#spec`; buttons `[data-action=VERB]`; `#dialog`; `#confirm`
(form), `#refused` (why not), `#result` (what came of it); `#theme`; `#login`, `#logout`.
"""
