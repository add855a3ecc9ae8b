"""Reads the insurance card in the first PC/SC reader with python-healthcard and prints what it made of it."""

import json

from healthcard.reader import HealthCardReader

card = HealthCardReader().get_health_card()
print(
    json.dumps(
        {
            "generation": card.version,
            "insurant_id": card.patient.insurant_id,
            "first_name": card.patient.first_name,
            "last_name": card.patient.last_name,
            "birthdate": card.patient.birthdate.strftime("%Y-%m-%d"),
            "insurance_name": card.insurance.insurance_name,
        }
    )
)
