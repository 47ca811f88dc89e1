"""APIs of definitions: routes that scripts map onto workers, deployed at sites (reference: gateway, section 1)."""
