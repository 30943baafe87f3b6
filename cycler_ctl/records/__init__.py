"""From run files to numbers people use: the Battery Data Format, curves, uncertainties; sealing and repair."""
