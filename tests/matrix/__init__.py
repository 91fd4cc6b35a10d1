"""Every public function and estimator against every kind of bad input."""
