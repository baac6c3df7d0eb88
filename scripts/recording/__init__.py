"""Records the bundled captures: real programs in two network namespaces, told as stories."""
