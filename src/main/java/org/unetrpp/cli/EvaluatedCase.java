package org.unetrpp.cli;

import org.unetrpp.metrics.CaseEvaluation;

/** A case and how well it agrees with its reference. */
record EvaluatedCase(LabelPair files, CaseEvaluation evaluation) {}
