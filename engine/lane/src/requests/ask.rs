//! Questions to whoever runs the job, one at a time, that block nobody but those who wait for the answer.

use std::sync::mpsc;

use tokio::sync::oneshot;

use crate::limits::rate::PAUSE_STEP;

/// Answers whether what is there is replaced, of which it is told the full name.
pub type Ask = Box<dyn FnMut(&str) -> bool + Send>;

struct Question {
    destination: String,
    answer: oneshot::Sender<bool>,
}

/// Puts the questions of all lanes, one after the other, on a thread of its own. As many wait as there are tasks.
#[derive(Clone)]
pub struct Asker(mpsc::Sender<Question>);

impl Asker {
    /// Puts questions to `ask`. Its thread ends with the job, or when an answer comes that nobody waits for any more.
    pub fn start(mut ask: Ask) -> Self {
        let (questions, asked) = mpsc::channel::<Question>();
        let put = move || {
            for Question { destination, answer } in asked {
                if !answer.is_closed() {
                    // The job may stop meanwhile.
                    let _ = answer.send(ask(&destination));
                }
            }
        };
        // Without the thread nobody answers.
        let _ = std::thread::Builder::new().name("asker".to_owned()).spawn(put);
        Self(questions)
    }

    /// The answer; `None` when the job stops. Where nobody answers it is no.
    pub(crate) async fn ask(&self, destination: String, stopping: impl Fn() -> bool) -> Option<bool> {
        let (send, mut answer) = oneshot::channel();
        if self.0.send(Question { destination, answer: send }).is_err() {
            return Some(false);
        }
        loop {
            let answered = tokio::time::timeout(PAUSE_STEP, &mut answer).await;
            if stopping() {
                return None;
            }
            if let Ok(answer) = answered {
                return Some(answer.unwrap_or(false));
            }
        }
    }
}
