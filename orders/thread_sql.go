package orders

import (
	"context"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/sqldb"
)

// addMessage adds a message and its files, and returns its number.
func addMessage(tx *sqldb.Tx, r row, m Message) (seq int, err error) {
	err = tx.QueryRow(`INSERT INTO orders_message (commune, order_id, seq, at, kind, subject, name, text)
		SELECT $1, $2, COALESCE(MAX(seq), 0) + 1, $3, $4, $5, $6, $7 FROM orders_message WHERE commune = $1 AND order_id = $2 RETURNING seq`,
		string(r.Commune), r.ID, sqldb.Micros(m.At), string(m.Kind), m.By.Subject, m.By.Name, m.Text).Scan(&seq)
	if err != nil {
		return 0, err
	}
	for _, f := range m.Files {
		if _, err := tx.Exec(`INSERT INTO orders_attachment (commune, order_id, seq, n, name, type, size, document) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			string(r.Commune), r.ID, seq, f.N, f.Name, string(f.Type), f.Size, f.Digest); err != nil {
			return 0, err
		}
	}
	return seq, nil
}

// messages are those about an order with their files, the oldest first.
func (s *Service) messages(ctx context.Context, c commune.ID, order string) ([]Message, error) {
	rows, err := s.DB.Query(ctx, `SELECT m.seq, m.at, m.kind, m.subject, m.name, m.text,
		COALESCE(f.n, 0), COALESCE(f.name, ''), COALESCE(f.type, ''), COALESCE(f.size, 0), COALESCE(f.document, '')
		FROM orders_message m LEFT JOIN orders_attachment f ON f.commune = m.commune AND f.order_id = m.order_id AND f.seq = m.seq
		WHERE m.commune = $1 AND m.order_id = $2 ORDER BY m.seq, f.n`, string(c), order)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Message
	for rows.Next() {
		var m Message
		var at sqldb.Time
		var f Attachment
		if err := rows.Scan(&m.Seq, &at, &m.Kind, &m.By.Subject, &m.By.Name, &m.Text, &f.N, &f.Name, &f.Type, &f.Size, &f.Digest); err != nil {
			return nil, err
		}
		m.At = at.Time
		if len(list) == 0 || list[len(list)-1].Seq != m.Seq {
			list = append(list, m)
		}
		if f.N > 0 {
			last := &list[len(list)-1]
			last.Files = append(last.Files, f)
		}
	}
	return list, rows.Err()
}

// EachAttachment calls f with every file that people have sent to a commune.
func EachAttachment(ctx context.Context, db *sqldb.DB, c commune.ID, f func(order string, d blob.Digest) error) error {
	rows, err := db.Query(ctx, `SELECT order_id, document FROM orders_attachment WHERE commune = $1 ORDER BY order_id, seq, n`, string(c))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var order string
		var d blob.Digest
		if err := rows.Scan(&order, &d); err != nil {
			return err
		}
		if err := f(order, d); err != nil {
			return err
		}
	}
	return rows.Err()
}
