//! Go text/template with the deterministic part of sprig: parse, check references, render. No I/O.
