//! What can be chosen on the command line.

/// The choices.
#[derive(Debug, Clone)]
pub(crate) struct Arguments {
    /// Length of one window.
    pub(crate) seconds: u64,
    /// Windows of each kind.
    pub(crate) rounds: usize,
    /// Parallel clients, and sessions of the bare token.
    pub(crate) clients: Vec<usize>,
    /// Simulated cards.
    pub(crate) cards: usize,
    /// How fast they are: `bits=...,command=...,signature=...` as the simulator takes it.
    pub(crate) speed: String,
}

impl Arguments {
    pub(crate) fn read(words: &[String]) -> Arguments {
        let mut arguments = Arguments {
            seconds: 3,
            rounds: 5,
            clients: vec![1, 2, 4, 16],
            cards: 100,
            // A line at 115200 bits per second, 10 ms for each command, 350 ms for each signature.
            speed: "bits=115200,command=10,signature=350".into(),
        };
        for pair in words.chunks(2) {
            let [name, value] = pair else { panic!("{}: a value is missing", pair[0]) };
            let number = || value.parse().unwrap_or_else(|_| panic!("{name} {value}: expected a number"));
            match name.as_str() {
                "--seconds" => arguments.seconds = number() as u64,
                "--rounds" => arguments.rounds = number(),
                "--clients" => {
                    let numbers = value.split(',').map(|one| one.parse().expect("numbers like 1,2,4"));
                    arguments.clients = numbers.collect();
                }
                "--cards" => arguments.cards = number(),
                "--speed" => arguments.speed.clone_from(value),
                other => panic!("{other}: expected --seconds, --rounds, --clients, --cards or --speed"),
            }
        }
        arguments
    }
}
