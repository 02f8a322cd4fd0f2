package audit

import (
	"context"
	"fmt"

	"github.com/belfry-eid/belfry/internal/commune"
)

// Broken says where a chain does not hold.
type Broken struct {
	Commune commune.ID
	Seq     int64  // the entry's number, from 1
	Reason  string // in words, for an operator
}

func (b *Broken) Error() string {
	return fmt.Sprintf("audit of %s, entry %d: %s", b.Commune, b.Seq, b.Reason)
}

const verifyPage = 2000

// Verify walks the commune's chain. Its error is a *Broken where the chain does
// not hold, another where it could not be read.
func (l *Log) Verify(ctx context.Context, c commune.ID) error {
	// In this order an entry that is appended meanwhile cannot be missed: the
	// file is written after the commit, and the walk ends at the head row.
	file, err := l.heads.read(c)
	if err != nil {
		return fmt.Errorf("audit of %s: %w", c, err)
	}
	end, err := l.lastHead(ctx, c)
	if err != nil {
		return fmt.Errorf("audit of %s: %w", c, err)
	}
	prev := ""
	for seq := int64(0); ; {
		page, err := l.page(ctx, c, seq, end.seq)
		if err != nil {
			return fmt.Errorf("audit of %s: %w", c, err)
		}
		for _, r := range page {
			seq++
			if r.seq != seq {
				return &Broken{c, seq, fmt.Sprintf("is missing (the next one there is %d)", r.seq)}
			}
			if r.chained(prev) != r.hash {
				return &Broken{c, seq, "was changed, or another one was put in its place"}
			}
			if seq == file.seq && r.hash != file.hash {
				return &Broken{c, seq, "is not the one the head file knows: the chain was written again"}
			}
			prev = r.hash
		}
		if len(page) == 0 {
			return l.verifyEnd(ctx, c, head{seq, prev}, end, file)
		}
	}
}

// verifyEnd compares where the walk ended with what the head row and file say.
func (l *Log) verifyEnd(ctx context.Context, c commune.ID, walked, end, file head) error {
	if walked.seq < file.seq {
		return &Broken{c, walked.seq + 1, fmt.Sprintf("is missing with all that follow: the head file knows %d entries", file.seq)}
	}
	if walked.seq < end.seq {
		return &Broken{c, walked.seq + 1, fmt.Sprintf("is missing with all that follow: the head row knows %d entries", end.seq)}
	}
	if walked.hash != end.hash {
		return &Broken{c, walked.seq, "does not have the hash of the head row"}
	}
	if end.seq == 0 { // an empty chain; no entry may be there without its head
		var n int64
		if err := l.db.QueryRow(ctx, `SELECT count(*) FROM audit_entry WHERE commune = $1`, c).Scan(&n); err != nil {
			return fmt.Errorf("audit of %s: %w", c, err)
		}
		now, err := l.lastHead(ctx, c)
		if err != nil {
			return fmt.Errorf("audit of %s: %w", c, err)
		}
		if n > 0 && now.seq == 0 {
			return &Broken{c, 1, "is there but the head row is gone"}
		}
	}
	return nil
}

// page reads the rows after seq, up to last.
func (l *Log) page(ctx context.Context, c commune.ID, seq, last int64) (page []row, err error) {
	rows, err := l.db.Query(ctx, `SELECT commune, seq, at, actor, action, subject, detail, hash FROM audit_entry
		WHERE commune = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4`, c, seq, last, int64(verifyPage))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var r row
		if err := rows.Scan(&r.commune, &r.seq, &r.at, &r.actor, &r.action, &r.subject, &r.detail, &r.hash); err != nil {
			return nil, err
		}
		page = append(page, r)
	}
	return page, rows.Err()
}
