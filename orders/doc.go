// Package orders takes what people ask for from the form to the sealed paper.
//
// It owns the order: its states and who may move it, its log of events, its
// number, the frozen content that a clerk approves, and what a stranger learns of
// an issued paper. It refuses to know pages, sign-in, PDF, signatures and keys:
// document.Renderer draws, a Sealer seals, a register.Source knows where people
// live, and cmd/belfry wires them.
//
// It guarantees that
//
//   - every step is one transaction: the order's row (guarded by its version),
//     the event, the audit entry, the grant and the job, or nothing (docs/adr/0003, 0009);
//   - a form sent twice is one order, and of two clerks one wins; the other hears
//     who did what, and when;
//   - a number is given once for each order, without gaps in a commune's year but
//     those that a void row explains (docs/adr/0004); whatever dies, the order goes on
//     under the same number;
//   - what is sealed is what a clerk approved, by the hash of its bytes, and no clerk
//     approves a paper about themselves (T10, T11);
//   - a paper that a register has sealed is issued byte for byte as it came, under the
//     register's own reference, after its seal was read; nothing of ours signs it (T17);
//   - nothing is issued to somebody who lives elsewhere, and nothing about somebody
//     whose registration is special without a clerk's reasoned decision;
//   - the national number is stored sealed (AES-256-GCM under a key of the commune)
//     and as an HMAC under another key, and leaves this package only towards the
//     register (docs/adr/0008);
//   - commune B sees nothing of commune A: commune.ID is an argument of every method.
//
// The states, and who moves an order:
//
//	submitted ──clerk──▶ in_review ──clerk──▶ approved ──service──▶ signed ──service──▶ issued
//	    │  │                │ │ ▲│                └──────────service──────────────────────▲
//	    │  └─clerk──┐       │ │ └┘ clerk (prepared again)
//	    │           ▼       │ └─citizen──▶ cancelled
//	    │        refused ◀──┘clerk             ▲
//	    └──────────────citizen─────────────────┘
//	submitted ──service──▶ issued, where a register has sealed the paper itself
//	issued ──clerk──▶ withdrawn, in whose place another order may be made
//
// From submitted and in_review a clerk may ask the person something: the order is
// awaiting_citizen until they answer (or withdraw it), or a clerk goes on without (or
// refuses), and then is where it was. The promised day moves by as many working days.
//
// approved means "to be sealed", signed means "sealed, time stamp pending".
package orders
