// Command belfry signs citizens in and gives them sealed certificates.
//
//	belfry serve [--config FILE]       the service; without a file, a complete local one
//	belfry verify FILE                 is this PDF genuine? exit 0 yes, 1 no, 2 could not tell
//	belfry seal IN OUT                 seal a file with a commune's operator key
//	belfry staff invite COMMUNE NAME   a one-time address for a clerk's first sign-in
//	belfry check                       is everything this install needs there?
//
// It owns the settings file and the wiring: it makes each part, hands it what it
// needs and decides nothing of its own.
package main

func main() {}
