package verify

// Neighbourhood lets tests of the outside see it.
var Neighbourhood = neighbourhood
