# What the steps share: where results go. Sourced; run by GitHub Actions, or by hand, where outputs
# are printed instead.
# shellcheck shell=bash

fail() { # fail CODE SENTENCE: say it where people look, and end
  printf 'error: %s\n' "$2" >&2
  if [[ -n ${GITHUB_ACTIONS:-} ]]; then printf '::error::%s\n' "$2"; fi
  exit "$1"
}

output() { # output NAME VALUE: a result that later steps and jobs can use
  printf '%s=%s\n' "$1" "$2" >>"${GITHUB_OUTPUT:-/dev/stdout}"
}

summary() { # summary < MARKDOWN: for the page of the run
  cat >>"${GITHUB_STEP_SUMMARY:-/dev/null}"
}

fenced() { # fenced < TEXT: as it is; no fence in the text is as long as the one around it
  printf '`````text\n'
  # shellcheck disable=SC2016
  sed 's/``````*/````/g'
  printf '`````\n'
}
