package verify

// Confine lets tests be as hostile as a taken-over child, under the limits of one.
var Confine = confine

// ChildArgument lets tests take the place of a child.
const ChildArgument = childArgument
