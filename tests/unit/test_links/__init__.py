"""Where keys are redeemed; the desk itself is in `test_record_desk`."""
