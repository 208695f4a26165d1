// Safari has no Symbol.dispose yet, and without it every `[Symbol.dispose]()` would be a method called "undefined". This module comes
// before all that have one; compilers that replace `using` look for the same symbol.
(Symbol as { dispose?: symbol }).dispose ??= Symbol.for("Symbol.dispose");

export {};
