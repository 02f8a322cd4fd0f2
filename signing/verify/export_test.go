package verify

import "github.com/belfry-eid/belfry/internal/cell"

// Confine lets tests be as hostile as a taken-over child, under the limits of one.
var Confine = cell.Enter

// ChildArgument lets tests take the place of a child.
const ChildArgument = childArgument
