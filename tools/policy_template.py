"""The policies as a template of the chart: what `examples/install/policies.yaml` has, for the names of a release.

The plain file is the source, since people read it and the API server judges it in tests; the chart puts its labels
and the users of the release into it.
"""

from __future__ import annotations

_BEGIN = """\
{{- /* Generated from examples/install/policies.yaml by tools/generate.py; do not edit. */}}
{{- if .Values.policies.enabled }}
"""
_END = "{{- end }}\n"

_NAME_OF_POLICY = ".pbx-operator.io\nspec:\n"
_NAME_WITH_LABELS = """\
.pbx-operator.io
  labels:
    {{- include "pbx-operator.labels" . | nindent 4 }}
spec:
"""

_PLAIN_WRITERS = """\
      expression: "['system:serviceaccount:pbx-system:pbx-operator', 'pbx-operator', 'pbx-exchange']"
"""
_WRITERS_OF_RELEASE = """\
      {{- $users := printf "system:serviceaccount:%s:" (include "pbx-operator.namespace" .) }}
      {{- $writers := list (print $users (include "pbx-operator.serviceAccountName" .)) }}
      {{- if .Values.exchange.enabled }}
      {{- $writers = append $writers (print $users (include "pbx-operator.exchange.serviceAccountName" .)) }}
      {{- end }}
      expression: {{ concat $writers (.Values.policies.writers | default list) | toJson | quote }}
"""


def policy_template(policies: str) -> str:
    """Return the template for the text of the policies. Raises ValueError if a part that the chart fills is missing."""
    text = policies
    for plain, filled in ((_NAME_OF_POLICY, _NAME_WITH_LABELS), (_PLAIN_WRITERS, _WRITERS_OF_RELEASE)):
        if plain not in text:
            raise ValueError(
                f"examples/install/policies.yaml lacks {plain!r}, which the chart replaces: see {__name__}"
            )
        text = text.replace(plain, filled)
    return f"{_BEGIN}{text}{_END}"
