//! Functions that return nothing.

pub struct Screen {
    pub rows: Vec<String>,
    pub cursor: usize,
    pub title: Option<String>,
}

impl Screen {
    pub fn draw(&self) {
        let title = self.title.as_ref().unwrap();
        println!("{title}");
        println!("{}", self.rows[self.cursor]);
    }

    pub fn write(&mut self, text: &str) {
        self.rows[self.cursor].push_str(text);
        self.cursor += 1;
    }

    pub fn replace(&mut self, text: String) {
        self.rows[self.cursor] = text;
    }

    pub fn mark(&mut self, at: usize) -> () {
        let row: &mut String = &mut self.rows[at];
        row.insert(0, '*');
    }

    pub fn jump(&mut self, text: &str) {
        let at: usize = text.parse().unwrap();
        self.cursor = at;
    }

    pub fn scroll(&mut self, lengths: &[usize]) {
        while self.cursor < lengths[self.cursor] {
            self.cursor += 1;
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let last = &self.rows[0];
        eprintln!("{last}");
    }
}
