//! A stack machine.

#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    Underflow,
    Unknown(u8),
}

pub struct Machine {
    stack: Vec<i64>,
    memory: [i64; 16],
}

impl Machine {
    fn pop(&mut self) -> Result<i64, Fault> {
        self.stack.pop().ok_or(Fault::Underflow)
    }

    pub fn step(&mut self, op: u8) -> Result<(), Fault> {
        match op {
            0 => {
                let (b, a) = (self.pop()?, self.pop()?);
                self.stack.push(a + b);
            }
            1 => {
                let at = self.pop()? as usize;
                self.stack.push(self.memory[at]);
            }
            2 => {
                let top = *self.stack.last().unwrap();
                self.stack.push(top);
            }
            3 => {
                let at = self.stack.pop().ok_or(Fault::Underflow)? as usize;
                let value = self.stack.pop().ok_or(Fault::Underflow)?;
                self.memory[at] = value;
            }
            op => return Err(Fault::Unknown(op)),
        }
        Ok(())
    }

    pub fn top(&self) -> i64 {
        self.stack[self.stack.len() - 1]
    }
}
