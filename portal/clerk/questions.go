package clerk

import (
	"net/http"
	"strconv"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/page"
	"github.com/belfry-eid/belfry/internal/web"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/portal/visit"
)

// The commune's own questions: administrators write them, clerks choose among them.

const questionsPath = "/desk/questions"

type questionRow struct {
	Label     string
	Languages []i18n.Language
	Href      string
}

type questionList struct {
	Rows   []questionRow
	New    questionForm
	Action string
}

// questionForm is what is typed in each language.
type questionForm struct {
	Parts   []questionPart
	Version int64
	Errors  []page.Fault
	Action  string
	Drop    string // where it is taken away; "" of one that is new
}

type questionPart struct {
	Language              i18n.Language
	Label, Text           string
	LabelFault, TextFault string
	Optional              bool
}

func (p *Pages) questions(w http.ResponseWriter, r *http.Request) error {
	return p.showQuestions(w, r, http.StatusOK, p.questionForm(visit.Of(r), orders.Question{}, nil))
}

func (p *Pages) showQuestions(w http.ResponseWriter, r *http.Request, status int, typed questionForm) error {
	v := visit.Of(r)
	list, err := p.orders.Questions(r.Context(), v.Commune.ID)
	if err != nil {
		return err
	}
	c := questionList{New: typed}
	for _, q := range list {
		row := questionRow{Label: q.LabelIn(v.Commune, v.Language), Href: v.To(questionsPath + "/" + q.ID)}
		for _, l := range v.Commune.Languages() {
			if q.Text[l] != "" {
				row.Languages = append(row.Languages, l)
			}
		}
		c.Rows = append(c.Rows, row)
	}
	frame := v.Frame(w, r, v.T("question.title"))
	frame.Back, frame.Failed = v.To("/desk/staff"), len(typed.Errors) > 0
	return p.render(w, status, "questions", frame, c)
}

// questionForm is the form of a question as it was typed, with what is wrong with it.
func (p *Pages) questionForm(v *visit.Visit, q orders.Question, faults []orders.QuestionFault) questionForm {
	c := questionForm{Version: q.Version, Action: v.To(questionsPath)}
	if q.ID != "" {
		c.Action += "/" + q.ID
		c.Drop = c.Action + "/drop"
	}
	official := v.Commune.Official()
	for _, l := range v.Commune.Languages() {
		part := questionPart{Language: l, Label: q.Label[l], Text: q.Text[l], Optional: true}
		for _, o := range official {
			part.Optional = part.Optional && o != l
		}
		for _, f := range faults {
			if f.Language != l {
				continue
			}
			field, name, into := "text-", v.T("question.text"), &part.TextFault
			if f.Label {
				field, name, into = "label-", v.T("question.label"), &part.LabelFault
			}
			*into = v.T(f.Key)
			c.Errors = append(c.Errors, page.Fault{Field: field + string(l), Text: v.T("page.label", "Label", l.Name()+", "+name) + " " + *into})
		}
		c.Parts = append(c.Parts, part)
	}
	return c
}

// question is one that exists, to be changed.
func (p *Pages) question(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	q, err := p.ownQuestion(r, r.PathValue("id"))
	if err != nil {
		return err
	}
	if q == nil {
		return fault.New(fault.NotFound, "question.gone", nil)
	}
	return p.showQuestion(w, r, http.StatusOK, p.questionForm(v, *q, nil))
}

func (p *Pages) showQuestion(w http.ResponseWriter, r *http.Request, status int, c questionForm) error {
	v := visit.Of(r)
	frame := v.Frame(w, r, v.T("question.edit"))
	frame.Back, frame.Failed = v.To(questionsPath), len(c.Errors) > 0
	return p.render(w, status, "question", frame, c)
}

// ownQuestion is a question of the commune, nil where it has none of that ID.
func (p *Pages) ownQuestion(r *http.Request, id string) (*orders.Question, error) {
	list, err := p.orders.Questions(r.Context(), visit.Of(r).Commune.ID)
	if err != nil {
		return nil, err
	}
	for _, q := range list {
		if q.ID == id {
			return &q, nil
		}
	}
	return nil, nil
}

// saveQuestion keeps what was typed, in a new question where the address names none.
func (p *Pages) saveQuestion(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	if err := r.ParseForm(); err != nil {
		return err
	}
	q := orders.Question{ID: r.PathValue("id"), Label: map[i18n.Language]string{}, Text: map[i18n.Language]string{}}
	q.Version, _ = strconv.ParseInt(r.PostForm.Get("version"), 10, 64) // of another shape, it is no version
	for _, l := range v.Commune.Languages() {
		q.Label[l], q.Text[l] = r.PostForm.Get("label-"+string(l)), r.PostForm.Get("text-"+string(l))
	}
	if _, faults := q.Checked(v.Commune); len(faults) > 0 {
		show := p.showQuestions
		if q.ID != "" {
			show = p.showQuestion
		}
		return show(w, r, http.StatusUnprocessableEntity, p.questionForm(v, q, faults))
	}
	if _, err := p.orders.SaveQuestion(r.Context(), v.Commune.ID, me(v), q); err != nil {
		return err
	}
	return web.See(w, r, v.To(questionsPath))
}

func (p *Pages) dropQuestion(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	if err := r.ParseForm(); err != nil {
		return err
	}
	version, _ := strconv.ParseInt(r.PostForm.Get("version"), 10, 64)
	if err := p.orders.DropQuestion(r.Context(), v.Commune.ID, me(v), r.PathValue("id"), version); err != nil {
		return err
	}
	return web.See(w, r, v.To(questionsPath))
}
