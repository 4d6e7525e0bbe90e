"""The adapter that speaks CiviCRM's APIv4 over HTTP."""
