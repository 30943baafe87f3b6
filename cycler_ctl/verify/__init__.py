"""Is an output true? A known resistor in the place of the cell, driven and measured in both directions."""
