"""The countries that a system may be in: a selection, for the platform's own list is not public.  [?]

Tests may change the list of a simulator (`State.countries`).
"""

from __future__ import annotations

from typing import Final

COUNTRIES: Final = {
    "ARE": "United Arab Emirates",
    "AUS": "Australia",
    "AUT": "Austria",
    "BEL": "Belgium",
    "BRA": "Brazil",
    "CAN": "Canada",
    "CHE": "Switzerland",
    "CZE": "Czech Republic",
    "DEU": "Germany",
    "DNK": "Denmark",
    "ESP": "Spain",
    "FIN": "Finland",
    "FRA": "France",
    "GBR": "United Kingdom",
    "IND": "India",
    "IRL": "Ireland",
    "ITA": "Italy",
    "LUX": "Luxembourg",
    "MAR": "Morocco",
    "MEX": "Mexico",
    "NLD": "Netherlands",
    "NOR": "Norway",
    "NZL": "New Zealand",
    "POL": "Poland",
    "PRT": "Portugal",
    "REU": "Réunion",
    "SGP": "Singapore",
    "SWE": "Sweden",
    "TUN": "Tunisia",
    "TUR": "Turkey",
    "USA": "United States",
    "ZAF": "South Africa",
}
