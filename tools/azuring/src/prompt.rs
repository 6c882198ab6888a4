//! `--overwrite=prompt`: asks, in AzCopy's words, and keeps the answers that are for all.

use azuring_transfer::StopHandle;

use crate::cli::global::OutputType;
use crate::output::{Output, notice, say, tell};
use crate::stdin::{Lines, NoLine};
use crate::view::json::{Prompt, ResponseOption, message_with};

const ANSWERS: [ResponseOption; 4] = [
    answer("Yes", "Yes", "y"),
    answer("No", "No", "n"),
    answer("YesForAll", "Yes for all", "a"),
    answer("NoForAll", "No for all", "l"),
];

const fn answer(name: &'static str, shown: &'static str, typed: &'static str) -> ResponseOption {
    ResponseOption { response_type: name, user_friendly_response_type: shown, response_string: typed }
}

/// What to do with this object and with those after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Yes,
    No,
    YesForAll,
    NoForAll,
}

impl Answer {
    fn parse(line: &str) -> Option<Self> {
        Some(match line.to_ascii_lowercase().as_str() {
            "y" | "yes" => Self::Yes,
            "n" | "no" => Self::No,
            "a" | "yes for all" | "yesforall" => Self::YesForAll,
            "l" | "no for all" | "noforall" => Self::NoForAll,
            _ => return None,
        })
    }

    fn replaces(self) -> bool {
        matches!(self, Self::Yes | Self::YesForAll)
    }
}

/// The questions, and the answer that is for all once there is one.
struct Asker<N, Q> {
    next_line: N,
    question: Q,
    for_all: Option<Answer>,
}

impl<N: FnMut() -> Result<String, NoLine>, Q: FnMut(&str)> Asker<N, Q> {
    /// Whether `destination` is replaced. Asks again until it understands; where stdin ends or the job stops,
    /// everything stays.
    fn ask(&mut self, destination: &str) -> bool {
        if let Some(answer) = self.for_all {
            return answer.replaces();
        }
        loop {
            (self.question)(destination);
            let line = match (self.next_line)() {
                Ok(line) => line,
                Err(why) => {
                    if why == NoLine::Ended {
                        notice("stdin has ended: what exists is not overwritten");
                    }
                    self.for_all = Some(Answer::NoForAll);
                    return false;
                }
            };
            if let Some(answer) = Answer::parse(line.trim()) {
                if matches!(answer, Answer::YesForAll | Answer::NoForAll) {
                    self.for_all = Some(answer);
                }
                return answer.replaces();
            }
        }
    }
}

/// Asks on the terminal, or with a JSON message; reads answers from stdin, until `stop` is used.
pub(crate) fn asker(lines: Lines, stop: StopHandle) -> impl FnMut(&str) -> bool + Send + 'static {
    let mut asker = Asker { next_line: move || lines.next(&stop), question, for_all: None };
    move |destination| asker.ask(destination)
}

fn question(destination: &str) {
    let text = format!("{destination} already exists at the destination. Do you wish to overwrite?");
    if Output::get().kind == OutputType::Json {
        let prompt =
            Prompt { prompt_type: "Overwrite", response_options: Some(&ANSWERS), prompt_target: destination };
        say!("{}", message_with("Prompt", &text, prompt));
    } else {
        let shown = ANSWERS.map(|answer| {
            format!("[{}] {}", answer.response_string.to_uppercase(), answer.user_friendly_response_type)
        });
        tell!("{text} Please confirm with: {}", shown.join("  "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(answers: &[&str], destinations: usize) -> (Vec<bool>, usize) {
        let mut answers = answers.iter().map(|&answer| answer.to_owned());
        let mut questions = 0;
        let next_line = || answers.next().ok_or(NoLine::Ended);
        let mut asker = Asker { next_line, question: |_: &str| questions += 1, for_all: None };
        let replaced = (0..destinations).map(|_| asker.ask("x")).collect();
        (replaced, questions)
    }

    #[test]
    fn each_object_is_asked_about_until_an_answer_is_for_all() {
        assert_eq!(asked(&["y", "n", "Yes"], 3), (vec![true, false, true], 3));
        assert_eq!(asked(&["n", "a"], 4), (vec![false, true, true, true], 2));
        assert_eq!(asked(&["l"], 3), (vec![false; 3], 1));
    }

    #[test]
    fn what_is_not_understood_is_asked_again_and_the_end_of_stdin_keeps_everything() {
        assert_eq!(asked(&["?", "", "y"], 1), (vec![true], 3));
        assert_eq!(asked(&[], 3), (vec![false; 3], 1));
    }
}
