package eid

// AgentPorts are the ports of 127.0.0.1 on which a card reading program (cmd/eid-agent)
// may listen, in the order in which a login page asks them. The list is part of the
// protocol: pages name each in their Content-Security-Policy.
var AgentPorts = []int{17394, 20394, 27394}
