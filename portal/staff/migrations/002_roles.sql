-- Clerks could approve before there were approvers: they still can.
UPDATE staff_member SET role = 'approver' WHERE role = 'clerk';
UPDATE staff_invitation SET role = 'approver' WHERE role = 'clerk';

-- Who is away, and who answers for their orders meanwhile. Days are included, as
-- YYYY-MM-DD in Belgium.
CREATE TABLE staff_absence (
  commune TEXT NOT NULL,
  subject TEXT NOT NULL,
  deputy TEXT NOT NULL,
  from_day TEXT NOT NULL,
  to_day TEXT NOT NULL,
  PRIMARY KEY (commune, subject)
);
CREATE INDEX staff_absence_deputy ON staff_absence (commune, deputy, to_day);
